// What a run listens on: nothing but a port of the loopback address, where all ranks are on this machine, and that only
// until all have come. Whoever else connects there meanwhile changes nothing.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "support/run_echelon.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

/// Where a process listens, as the kernel writes it: "0100007F:1F90" is port 8080 of 127.0.0.1.
std::set<std::string> listens(pid_t pid) {
  std::set<std::string> sockets;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator{"/proc/" + std::to_string(pid) + "/fd", gone}) {
    const std::string target = fs::read_symlink(entry.path(), gone);
    if (target.starts_with("socket:[")) sockets.insert(target.substr(8, target.size() - 9));
  }
  std::set<std::string> found;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream in{table};
    std::string line;
    std::getline(in, line);  // the header
    while (std::getline(in, line)) {
      std::istringstream words{line};
      std::string number, local, remote, state, skipped, inode;
      words >> number >> local >> remote >> state;
      for (int i = 0; i < 5; ++i) words >> skipped;
      words >> inode;
      if (state == "0A" && sockets.contains(inode)) found.insert(local);
    }
  }
  return found;
}

/// Not open where nobody listens.
int connection(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return fd;
  close(fd);
  return -1;
}

class port : public testing::Test {
 protected:
  ~port() override { expect_nothing_left(); }
  TemporaryFolder folder;
};

TEST_F(port, is_the_loopbacks_until_all_have_come_and_strangers_at_it_change_nothing) {
  constexpr int ranks = 12;
  constexpr int strangers = 500;
  constexpr std::size_t kept_open = 200;
  RunningProgram program{echelon_command({"-n", std::to_string(ranks), "map", "--quiet", "-k", "--json", "record.json",
                                          "until test -e go; do sleep 0.05; done; echo", ":::", "1", "2", "3"}),
                         alone({.folder = folder.path()})};
  std::map<int, pid_t> all;
  ASSERT_TRUE(wait_until([&] { return (all = ranks_of(program)).size() == ranks; }));
  const auto signal_workers = [&](int number) {
    for (const auto& [rank, pid] : all) {
      if (rank > 0) kill(pid, number);
    }
  };
  // They run for a millisecond at a time: the port is seen before all have come.
  std::set<std::string> found;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (found.empty() && std::chrono::steady_clock::now() < end) {
    signal_workers(SIGCONT);
    poll(nullptr, 0, 1);
    signal_workers(SIGSTOP);
    found = listens(all.at(0));
  }
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(*found.begin(), testing::StartsWith("0100007F:")) << "127.0.0.1";
  std::uint16_t number = 0;
  std::from_chars(found.begin()->data() + 9, found.begin()->data() + found.begin()->size(), number, 16);

  std::mt19937 random{20261121};
  std::deque<int> open;
  int connected = 0;
  for (int i = 0; i < strangers; ++i) {
    const int fd = connection(number);
    if (fd < 0) break;
    ++connected;
    // As a rank would begin; then its proof, which is wrong. Cut off anywhere.
    std::string bytes{"\1\0\0\0\2\0\0\0", 8};
    if (i % 3 == 0) bytes.clear();
    for (std::size_t count = random() % 64; count > 0; --count) bytes += static_cast<char>(random());
    (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    open.push_back(fd);
    if (open.size() <= kept_open) continue;
    close(open.front());
    open.pop_front();
  }
  EXPECT_EQ(connected, strangers) << "the port was closed before";
  signal_workers(SIGCONT);

  EXPECT_TRUE(wait_until([&] { return listens(all.at(0)).empty(); })) << "the port is not closed";
  for (const auto& [rank, pid] : ranks_of(program)) EXPECT_THAT(listens(pid), IsEmpty()) << "rank " << rank;
  folder.write("go", "");
  const Outcome outcome = program.wait();
  for (const int fd : open) close(fd);
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "1\n2\n3\n");
  expect_only_notes(outcome);
  std::ifstream file{folder.path() / "record.json"};
  const auto record = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(record.is_object());
  constexpr std::int64_t most_growth_bytes = 16 << 20;
  EXPECT_LT(record["ranks"][0]["max_rss_bytes"].get<std::int64_t>(),
            record["ranks"][1]["max_rss_bytes"].get<std::int64_t>() + most_growth_bytes);
  for (const auto& rank : record["ranks"]) EXPECT_EQ(rank["lost"], false) << rank;
}

}  // namespace
}  // namespace echelon::test
