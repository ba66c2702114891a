#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/command/inputs.hpp>

#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::command {
namespace {

using std::string_literals::operator""s;
using testing::IsEmpty;

using Values = std::vector<std::string>;
using Tasks = std::vector<Values>;

Tasks all(Inputs inputs) {
  Tasks tasks;
  while (auto values = inputs.next()) tasks.push_back(std::move(*values));
  EXPECT_EQ(inputs.next(), std::nullopt) << "the end stays the end";
  return tasks;
}

Tasks of_one(const Values& values) {
  Tasks tasks;
  for (const std::string& value : values) tasks.push_back({value});
  return tasks;
}

template <typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const base::UsageError& e) {
    return e.what();
  }
  return "it was not refused";
}

/// A pipe whose reading end may be in other hands.
class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  }
  ~Pipe() {
    end();
    close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int reader() const { return ends_[0]; }
  /// @pre it fits, or somebody reads
  void write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = ::write(ends_[1], text.data(), text.size());
      if (count < 0 && errno != EINTR) throw std::runtime_error("write");
      text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
  }
  void end() {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }

 private:
  std::array<int, 2> ends_{};
};

/// What standard input is, for as long as this lives.
class StandardInput {
 public:
  explicit StandardInput(int file) : before_{dup(STDIN_FILENO)} { dup2(file, STDIN_FILENO); }
  ~StandardInput() {
    dup2(before_, STDIN_FILENO);
    close(before_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  int before_;
};

class InputsTest : public testing::Test {
 protected:
  test::TemporaryFolder folder;

  [[nodiscard]] FileSource file(const std::string& name, std::string_view text) const {
    folder.write(name, text);
    return {folder.path() / name};
  }
  [[nodiscard]] Tasks lines(std::string_view text, char separator = '\n') const {
    return all(Inputs{{file("lines", text)}, separator});
  }
};

using Lists = InputsTest;
using Files = InputsTest;
using Streams = InputsTest;
using Combinations = InputsTest;
using Counts = InputsTest;

TEST_F(Lists, give_their_values_as_they_are) {
  const Values odd{"a", "", " b ", "c\nd", "\r", "nul \0 nul"s, "\xff\xfe", "a"};
  EXPECT_EQ(all(Inputs{{ListSource{odd}}, '\n'}), of_one(odd));
  EXPECT_EQ(all(Inputs{{ListSource{odd}}, '\0'}), of_one(odd));
}

TEST_F(Lists, without_values_have_no_task) { EXPECT_THAT(all(Inputs{{ListSource{}}, '\n'}), IsEmpty()); }

TEST_F(Files, give_a_value_for_each_line) {
  EXPECT_EQ(lines("a\nb\n"), of_one({"a", "b"}));
  EXPECT_EQ(lines("a\nb"), of_one({"a", "b"})) << "the last without its end";
  EXPECT_EQ(lines("\n"), of_one({""}));
  EXPECT_EQ(lines("\n\na\n\n"), of_one({"", "", "a", ""}));
  EXPECT_EQ(lines("a\n "), of_one({"a", " "}));
  EXPECT_THAT(lines(""), IsEmpty());
}

TEST_F(Files, keep_every_byte_of_a_line) {
  EXPECT_EQ(lines("a\r\nb\r\n\r\n"), of_one({"a\r", "b\r", "\r"}));
  EXPECT_EQ(lines("  a\tb  \n\xef\xbb\xbfx\n\xff\x80\x01\x1b[2J\n"),
            of_one({"  a\tb  ", "\xef\xbb\xbfx", "\xff\x80\x01\x1b[2J"}));
}

TEST_F(Files, with_null_end_values_at_a_nul_alone) {
  EXPECT_EQ(lines("a\0b\nc\0\0d\r\n\0"s, '\0'), of_one({"a", "b\nc", "", "d\r\n"}));
  EXPECT_EQ(lines("a\0b"s, '\0'), of_one({"a", "b"})) << "the last without its end";
  EXPECT_EQ(lines("a\n"s, '\0'), of_one({"a\n"}));
  EXPECT_EQ(lines("\0"s, '\0'), of_one({""}));
  EXPECT_THAT(lines("", '\0'), IsEmpty());
}

TEST_F(Files, with_null_take_any_name_that_a_file_can_have) {
  const Values names{"plain", "new\nline", "\n", "two  blanks ", "tab\t", "-0", "\xff", "'\"$(x)\\", "end\n"};
  for (const std::string& name : names) folder.write("found/" + name, "");
  (void)test::output_of_shell("cd '" + folder.path().string() + "/found' && find . -type f -print0 >../list");
  Tasks found = all(Inputs{{FileSource{folder.path() / "list"}}, '\0'});
  Tasks expected;
  for (const std::string& name : names) expected.push_back({"./" + name});
  std::ranges::sort(found);
  std::ranges::sort(expected);
  EXPECT_EQ(found, expected);
}

TEST_F(Files, refuse_a_nul_in_a_line_and_say_where) {
  Inputs inputs{{file("bad", "a\n\nb\0c\nd\n"s)}, '\n'};
  EXPECT_EQ(inputs.next(), Values{"a"});
  EXPECT_EQ(inputs.next(), Values{""});
  EXPECT_EQ(refusal([&] { (void)inputs.next(); }),
            (folder.path() / "bad").string() + ": line 3 has a NUL byte; -0 (--null) reads values that end in one");
  EXPECT_EQ(refusal([&] { (void)lines("\0"s); }),
            (folder.path() / "lines").string() + ": line 1 has a NUL byte; -0 (--null) reads values that end in one");
}

TEST_F(Files, that_cannot_be_read_are_refused_by_name) {
  const auto text_for = [](Source source) { return refusal([&] { (void)Inputs{{std::move(source)}, '\n'}; }); };
  EXPECT_EQ(text_for(FileSource{"/nowhere/list"}),
            "/nowhere/list: cannot be read as an input source: No such file or directory");
  EXPECT_EQ(text_for(FileSource{""}), ": cannot be read as an input source: No such file or directory");
  EXPECT_EQ(text_for(FileSource{folder.path()}),
            folder.path().string() + ": cannot be read as an input source: Is a directory");
  EXPECT_EQ(text_for(DescriptorSource{1000}),
            "file descriptor 1000: cannot be read as an input source: Bad file descriptor");
  const int write_only = open((folder.path() / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(write_only, 0);
  EXPECT_EQ(text_for(DescriptorSource{write_only}), "file descriptor " + std::to_string(write_only) +
                                                        ": cannot be read as an input source: Bad file descriptor");
  close(write_only);
  // any of several
  EXPECT_EQ(refusal([] {
              (void)Inputs{{ListSource{{"a"}}, FileSource{"/nowhere/list"}}, '\n'};
            }),
            "/nowhere/list: cannot be read as an input source: No such file or directory");
}

TEST_F(Files, leave_no_descriptor_open) {
  const int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(before);
  (void)lines("a\nb\n");
  (void)refusal([&] { (void)Inputs{{file("bad", "\0\n"s), FileSource{"/nowhere"}}, '\n'}; });
  const int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(after);
  EXPECT_EQ(after, before);
}

TEST_F(Files, that_are_descriptors_are_read_from_where_they_are_and_stay_open) {
  const int open_file = open(file("lines", "read before\na\nb\n").path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(open_file, 0);
  ASSERT_EQ(lseek(open_file, 12, SEEK_SET), 12);
  {
    Inputs inputs{{DescriptorSource{open_file}}, '\n'};
    EXPECT_EQ(inputs.count(), 2U);
    EXPECT_EQ(inputs.descriptor(), -1) << "a file on disk keeps nobody waiting";
    EXPECT_EQ(all(std::move(inputs)), of_one({"a", "b"}));
  }
  EXPECT_EQ(fcntl(open_file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  close(open_file);
}

TEST_F(Files, that_are_standard_input_can_be_so_once) {
  const FileSource source = file("lines", "a\nb");
  const int open_file = open(source.path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(open_file, 0);
  {
    const StandardInput input{open_file};
    EXPECT_EQ(all(Inputs{{FileSource{"-"}}, '\n'}), of_one({"a", "b"}));
    for (const Source& other : {Source{FileSource{"-"}}, Source{DescriptorSource{STDIN_FILENO}}}) {
      EXPECT_EQ(refusal([&] {
                  (void)Inputs{{FileSource{"-"}, other}, '\n'};
                }),
                "standard input can be one input source only; give the other one as a file");
    }
    EXPECT_EQ(all(Inputs{{FileSource{"/dev/stdin"}}, '\n'}), of_one({"a", "b"})) << "opened anew";
  }
  close(open_file);
}

TEST_F(Files, have_lines_of_any_length) {
  // around the buffer, and far beyond it
  for (const std::size_t size : {65535U, 65536U, 65537U, 131'072U, 1U << 20U, (1U << 20U) + 1, 5U << 20U}) {
    const std::string longest(size, 'x');
    EXPECT_EQ(lines("a\n" + longest + "\nb\n"), of_one({"a", longest, "b"})) << size;
    EXPECT_EQ(lines(longest), of_one({longest})) << size;
    EXPECT_EQ(lines(longest + '\0' + longest + "\n", '\0'), of_one({longest, longest + "\n"})) << size;
  }
}

TEST_F(Files, are_read_right_wherever_the_buffer_ends) {
  std::string text;
  Tasks expected;
  for (std::size_t i = 0; text.size() < 400'000; ++i) {
    expected.push_back({std::string(i * 7919 % 1013, static_cast<char>('a' + i % 26))});
    text += expected.back().front() + "\n";
  }
  EXPECT_EQ(lines(text), expected);
}

/// In use by this program; 0 where a sanitizer has an allocator of its own.
std::size_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// 33 MiB of input.
TEST_F(Streams, of_a_million_lines_are_read_in_little_memory) {
  constexpr std::uint64_t tasks = 1'000'000;
  Pipe pipe;
  std::thread writer{[&] {
    std::string block;
    for (std::uint64_t i = 0; i < tasks; ++i) {
      std::string line = std::to_string(i);
      block += std::string(32 - line.size(), '0') + line + "\n";
      if (block.size() < 60'000) continue;
      pipe.write(block);
      block.clear();
    }
    pipe.write(block);
    pipe.end();
  }};
  Inputs inputs{{DescriptorSource{pipe.reader()}}, '\n'};
  const std::size_t before = heap_bytes();
  std::size_t most = before;
  std::uint64_t wrong = 0;
  std::uint64_t read = 0;
  for (; const auto values = inputs.next(); ++read) {
    wrong += values->size() == 1 && values->front().size() == 32 && std::stoull(values->front()) == read ? 0 : 1;
    if (read % 1000 == 0) most = std::max(most, heap_bytes());
  }
  writer.join();
  EXPECT_EQ(read, tasks);
  EXPECT_EQ(wrong, 0U);
  EXPECT_LT(most - before, std::size_t{1} << 20U);
}

TEST_F(Streams, give_a_line_when_it_ends_and_not_before) {
  Pipe pipe;
  Inputs inputs{{DescriptorSource{pipe.reader()}}, '\n'};
  EXPECT_EQ(inputs.descriptor(), pipe.reader());
  EXPECT_EQ(inputs.count(), std::nullopt);
  EXPECT_FALSE(inputs.has_buffered());
  pipe.write("half");
  inputs.read_some();
  EXPECT_FALSE(inputs.has_buffered());
  pipe.write(" and half\nrest");
  inputs.read_some();
  EXPECT_TRUE(inputs.has_buffered());
  EXPECT_EQ(inputs.next(), Values{"half and half"});
  EXPECT_FALSE(inputs.has_buffered());
  pipe.end();
  inputs.read_some();
  EXPECT_TRUE(inputs.has_buffered());
  EXPECT_EQ(inputs.next(), Values{"rest"});
  EXPECT_TRUE(inputs.has_buffered()) << "the end is known";
  EXPECT_EQ(inputs.next(), std::nullopt);
  inputs.read_some();
  EXPECT_EQ(inputs.next(), std::nullopt);
}

TEST_F(Streams, wait_for_the_end_of_a_line_and_no_longer) {
  Pipe pipe;
  Inputs inputs{{DescriptorSource{pipe.reader()}}, '\n'};
  pipe.write("ha");
  std::thread writer{[&] {
    usleep(20'000);
    pipe.write("lf\n");  // and nothing more
  }};
  EXPECT_EQ(inputs.next(), Values{"half"});
  writer.join();
}

/// As a shell may leave it: reads fail where nothing is there.
TEST_F(Streams, that_do_not_block_are_waited_for_too) {
  Pipe pipe;
  ASSERT_EQ(fcntl(pipe.reader(), F_SETFL, O_NONBLOCK), 0);
  Inputs inputs{{DescriptorSource{pipe.reader()}}, '\n'};
  inputs.read_some();
  EXPECT_FALSE(inputs.has_buffered());
  std::thread writer{[&] {
    usleep(20'000);
    pipe.write("a");
    usleep(20'000);
    pipe.write("\nb");
    pipe.end();
  }};
  EXPECT_EQ(all(std::move(inputs)), of_one({"a", "b"}));
  writer.join();
}

TEST_F(Streams, of_long_lines_are_read_in_few_moves) {
  constexpr std::size_t size = 16U << 20U;
  Pipe pipe;
  std::thread writer{[&] {
    const std::string block(65536, 'x');
    for (std::size_t written = 0; written < size; written += block.size()) pipe.write(block);
    pipe.write("\nshort\n");
    pipe.end();
  }};
  const Tasks tasks = all(Inputs{{DescriptorSource{pipe.reader()}}, '\n'});
  writer.join();
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_TRUE(tasks[0] == Values{std::string(size, 'x')});
  EXPECT_EQ(tasks[1], Values{"short"});
}

TEST_F(Streams, that_are_fifos_are_read_to_their_end) {
  const std::string fifo = folder.path() / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  std::thread writer{[&] {
    const int file = open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(write(file, "a\nb", 3), 3);
    close(file);
  }};
  Inputs inputs{{FileSource{fifo}}, '\n'};
  EXPECT_GE(inputs.descriptor(), 0);
  EXPECT_EQ(inputs.count(), std::nullopt);
  EXPECT_EQ(all(std::move(inputs)), of_one({"a", "b"}));
  writer.join();
}

TEST_F(Combinations, have_the_last_source_vary_fastest) {
  Inputs inputs{{ListSource{{"a", "b"}}, file("digits", "1\n2\n"), ListSource{{"x", "y"}}}, '\n'};
  EXPECT_EQ(inputs.sources(), 3U);
  EXPECT_EQ(inputs.count(), 8U);
  EXPECT_EQ(all(std::move(inputs)), (Tasks{{"a", "1", "x"},
                                           {"a", "1", "y"},
                                           {"a", "2", "x"},
                                           {"a", "2", "y"},
                                           {"b", "1", "x"},
                                           {"b", "1", "y"},
                                           {"b", "2", "x"},
                                           {"b", "2", "y"}}));
}

TEST_F(Combinations, count_an_empty_source_as_an_empty_value_unless_all_are) {
  EXPECT_EQ(all(Inputs{{ListSource{}, ListSource{{"1", "2"}}}, '\n'}), (Tasks{{"", "1"}, {"", "2"}}));
  EXPECT_EQ(all(Inputs{{file("a", "a\nb\n"), file("none", "")}, '\n'}), (Tasks{{"a", ""}, {"b", ""}}));
  EXPECT_EQ(all(Inputs{{ListSource{}, ListSource{}, ListSource{{"x"}}}, '\n'}), (Tasks{{"", "", "x"}}));
  EXPECT_THAT(all(Inputs{{ListSource{}, file("none", "")}, '\n'}), IsEmpty());
  EXPECT_EQ((Inputs{{ListSource{}, ListSource{{"1", "2"}}}, '\n'}.count()), 2U);
  EXPECT_EQ((Inputs{{ListSource{}, ListSource{}}, '\n'}.count()), 0U);
}

TEST_F(Combinations, read_the_first_source_as_it_comes) {
  Pipe pipe;
  Inputs inputs{{DescriptorSource{pipe.reader()}, ListSource{{"1", "2"}}}, '\n'};
  EXPECT_FALSE(inputs.has_buffered());
  pipe.write("a\nb");
  inputs.read_some();
  EXPECT_EQ(inputs.next(), (Values{"a", "1"}));
  EXPECT_TRUE(inputs.has_buffered()) << "a combination is left";
  EXPECT_EQ(inputs.next(), (Values{"a", "2"}));
  EXPECT_FALSE(inputs.has_buffered());
  pipe.end();
  inputs.read_some();
  EXPECT_EQ(all(std::move(inputs)), (Tasks{{"b", "1"}, {"b", "2"}}));
}

TEST_F(Combinations, may_have_a_stream_at_any_place) {
  Pipe pipe;
  pipe.write("1\n2");
  pipe.end();
  Inputs inputs{{ListSource{{"a", "b"}}, DescriptorSource{pipe.reader()}}, '\n'};
  EXPECT_EQ(inputs.descriptor(), -1);
  EXPECT_EQ(inputs.count(), 4U) << "it has been read";
  EXPECT_EQ(all(std::move(inputs)), (Tasks{{"a", "1"}, {"a", "2"}, {"b", "1"}, {"b", "2"}}));
}

TEST_F(Combinations, go_on_after_a_move) {
  Inputs inputs{{ListSource{{"a", "b"}}, ListSource{{"1", "2"}}}, '\n'};
  EXPECT_EQ(inputs.next(), (Values{"a", "1"}));
  Inputs moved{std::move(inputs)};
  EXPECT_EQ(moved.next(), (Values{"a", "2"}));
  inputs = std::move(moved);
  EXPECT_EQ(all(std::move(inputs)), (Tasks{{"b", "1"}, {"b", "2"}}));
}

/// The values of a task between brackets, a line a task.
TEST_F(Combinations, are_those_of_gnu_parallel) {
  if (test::output_of_shell("command -v parallel").empty()) GTEST_SKIP() << "GNU parallel is not installed";
  const FileSource ab = file("ab", "a\n\nb");
  const FileSource digits = file("digits", "1\n2\n");
  const FileSource none = file("none", "");
  const auto theirs = [](const std::string& sources, const std::string& command) {
    return test::output_of_shell("parallel --will-cite -k -j1 'printf \"%s\\n\" " + command + "' " + sources);
  };
  const auto ours = [](std::vector<Source> sources) {
    std::string text;
    for (const Values& values : all(Inputs{std::move(sources), '\n'})) {
      for (const std::string& value : values) text += "[" + value + "]";
      text += "\n";
    }
    return text;
  };
  const std::string two = "\"[\"{1}\"][\"{2}\"]\"";
  const std::string three = "\"[\"{1}\"][\"{2}\"][\"{3}\"]\"";
  EXPECT_EQ(ours({ab}), theirs(":::: " + ab.path, "\"[\"{}\"]\""));
  EXPECT_EQ(ours({ab, digits}), theirs(":::: " + ab.path + " " + digits.path, two));
  EXPECT_EQ(ours({ListSource{{"x", "y"}}, ab, digits}), theirs("::: x y :::: " + ab.path + " " + digits.path, three));
  EXPECT_EQ(ours({none, digits}), theirs(":::: " + none.path + " " + digits.path, two));
  EXPECT_EQ(ours({digits, none}), theirs(":::: " + digits.path + " " + none.path, two));
  EXPECT_EQ(ours({none, none}), theirs(":::: " + none.path + " " + none.path, two));
}

TEST_F(Counts, are_of_what_next_gives) {
  const auto count = [&](std::string_view text, char separator = '\n') {
    return Inputs{{file("lines", text)}, separator}.count();
  };
  EXPECT_EQ(count(""), 0U);
  EXPECT_EQ(count("\n"), 1U);
  EXPECT_EQ(count("a"), 1U);
  EXPECT_EQ(count("a\nb"), 2U);
  EXPECT_EQ(count("a\nb\n"), 2U);
  EXPECT_EQ(count("a\nb\n", '\0'), 1U);
  EXPECT_EQ(count("a\0b\n"s, '\0'), 2U);
  EXPECT_EQ(count(std::string(3'000'000, '\n')), 3'000'000U) << "more than a block";
  EXPECT_EQ(count(std::string(1U << 20U, 'x') + "\n"), 1U);
  EXPECT_EQ((Inputs{{ListSource{{"a", "b", ""}}}, '\n'}.count()), 3U);
}

TEST_F(Counts, stay_the_same_while_values_are_given) {
  for (const bool from_file : {true, false}) {
    const Source source = from_file ? Source{file("lines", "a\nb\nc\n")} : Source{ListSource{{"a", "b", "c"}}};
    Inputs inputs{{source, ListSource{{"1", "2"}}}, '\n'};
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(inputs.count(), 6U);
      EXPECT_TRUE(inputs.next());
    }
    EXPECT_EQ(inputs.next(), std::nullopt);
    EXPECT_EQ(inputs.count(), 6U);
  }
}

TEST_F(Counts, beyond_64_bits_are_none) {
  const ListSource many{Values(65536, "x")};
  EXPECT_EQ((Inputs{{many, many, many}, '\n'}.count()), std::uint64_t{1} << 48U);
  EXPECT_EQ((Inputs{{many, many, many, many}, '\n'}.count()), std::nullopt);
}

}  // namespace
}  // namespace echelon::command
