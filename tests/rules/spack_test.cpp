// jobs/setup.sh and the Spack recipe name the same packages.
#include <cstdio>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace {

const std::string project = ECHELON_PROJECT;

/// Without variants and versions.
std::string base_name(const std::string& spec) { return spec.substr(0, spec.find_first_of("+@")); }

std::set<std::string> packages_of_setup() {
  std::FILE* const table = popen(("bash -c 'source " + project + "/jobs/setup.sh && needed_for build'").c_str(), "r");
  std::string text;
  for (int c = 0; table != nullptr && (c = std::fgetc(table)) != EOF;) text += static_cast<char>(c);
  if (table != nullptr) pclose(table);
  std::set<std::string> found;
  std::istringstream lines{text};
  for (std::string what, debian, fedora, spack; lines >> what >> debian >> fedora >> spack;) {
    if (spack == "gcc" || spack == "-") continue;                       // Spack's compiler, and what has no package
    found.insert(spack == "pkgconf" ? "pkgconfig" : base_name(spack));  // which it provides
  }
  return found;
}

std::set<std::string> packages_of_recipe() {
  std::ostringstream text;
  text << std::ifstream{project + "/jobs/spack/spack_repo/echelon/packages/echelon/package.py"}.rdbuf();
  const std::string recipe = text.str();
  const std::regex depends{"\n    depends_on\\(\"([^\"]+)\""};
  std::set<std::string> found;
  for (std::sregex_iterator at{recipe.begin(), recipe.end(), depends}, end; at != end; ++at) {
    if (const std::string name = base_name((*at)[1]); name != "c" && name != "cxx") found.insert(name);
  }
  return found;
}

TEST(spack, recipe_depends_on_what_setup_looks_for) {
  EXPECT_GT(packages_of_setup().size(), 10U);
  EXPECT_EQ(packages_of_recipe(), packages_of_setup());
}

}  // namespace
