// SPDX-License-Identifier: Apache-2.0
//
// Who has a processor before whom, as the kernel has it of a kinsockd that serves.
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/server/daemon_process.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using testing::DaemonProcess;
using ::testing::ElementsAre;

constexpr char kMain[] = "(main)";

// The nice values of the threads of a process, by name (proc(5), /proc/PID/task/TID/stat).
std::map<std::string, int> NiceOf(pid_t process) {
  // Of the fields that follow the name, which may have blanks in it: state is the third of all, nice the nineteenth.
  constexpr size_t kNice = 19 - 3;
  std::map<std::string, int> threads;
  const std::string tasks = absl::StrCat("/proc/", process, "/task");
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(tasks.c_str()), closedir);
  while (const dirent* task = directory != nullptr ? readdir(directory.get()) : nullptr) {
    std::string stat;
    std::getline(std::ifstream(absl::StrCat(tasks, "/", task->d_name, "/stat")), stat);
    const size_t begin = stat.find('('), end = stat.rfind(')');
    if (begin == std::string::npos || end == std::string::npos) continue;
    const std::string name = stat.substr(begin + 1, end - begin - 1);
    const std::vector<std::string> fields = absl::StrSplit(stat.substr(end + 2), ' ');
    int nice = 0;
    if (fields.size() <= kNice || !absl::SimpleAtoi(fields[kNice], &nice)) continue;
    threads[task->d_name == std::to_string(process) ? kMain : name] = nice;
  }
  return threads;
}

TEST(ThreadPriorityTest, ReactorsComeFirstThenTheApiThenWhatTakesLongToAnswerOverHttp) {
  DaemonProcess daemon;
  ASSERT_TRUE(daemon.Start({"--reactors", "2", "--http", "unix:" + daemon / "http.sock"})) << daemon.errors();
  // It begins with that of whoever started it, and no thread can have more than 19.
  const int first = getpriority(PRIO_PROCESS, 0);
  const auto after = [first](int more) { return std::min(first + more, 19); };
  const std::vector<std::string> in_order{"reactor-0", "reactor-1", "store", kMain, "http", "http-answers"};
  std::vector<int> nice;
  testing::Stage stage;
  // A thread that is just being started takes its place itself.
  EXPECT_TRUE(stage.RunUntil([&] {
    const std::map<std::string, int> threads = NiceOf(daemon.pid());
    nice.clear();
    for (const std::string& name : in_order) nice.push_back(threads.count(name) > 0 ? threads.at(name) : -100);
    return nice.back() == after(10);
  })) << "nice of http-answers: "
      << nice.back();
  EXPECT_THAT(nice, ElementsAre(first, first, first, after(5), after(5), after(10)));
}

}  // namespace
}  // namespace kinsock
