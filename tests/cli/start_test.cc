// SPDX-License-Identifier: Apache-2.0
//
// How long kinsockctl takes to start. Almost all of that is the loading of gRPC and what it needs, which is measured
// here by the loader alone; what the program adds itself must stay small beside it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/cli/run_ctl.h"
#include "tests/support/sanitizers.h"

namespace kinsock {
namespace {

using std::chrono::microseconds;

// The processor time, least of several runs: what others do on the machine adds to a run, and takes nothing away.
microseconds LeastTime(std::vector<std::string> words, std::vector<std::string> settings) {
  constexpr int kRuns = 15;
  microseconds least = microseconds::max();
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& setting : settings) envp.push_back(setting.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  for (int i = 0; i < kRuns; ++i) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, words.front().c_str(), &files, nullptr, argv.data(), envp.data()), 0);
    posix_spawn_file_actions_destroy(&files);
    rusage used{};
    int status = -1;
    wait4(pid, &status, 0, &used);
    EXPECT_EQ(status, 0);
    const auto time = [](const timeval& value) { return microseconds(value.tv_sec * 1'000'000 + value.tv_usec); };
    least = std::min(least, time(used.ru_utime) + time(used.ru_stime));
  }
  return least;
}

TEST(StartTest, AlmostAllOfItIsTheLoader) {
  if (testing::kSanitized) GTEST_SKIP() << "sanitizers take time of their own";
  // ld.so(8): loads and binds everything, as at a start, and says where it was found in place of running it.
  const microseconds loader =
      LeastTime({testing::kCtl}, {"LD_TRACE_LOADED_OBJECTS=1", "LD_WARN=yes", "LD_BIND_NOW=yes"});
  const microseconds nothing = LeastTime({"/bin/true"}, {});
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--version"}, {"--help"}, {"vm", "create", "--help"}, {"completion", "bash"}, {"__complete", "vm", ""}}) {
    std::vector<std::string> words{testing::kCtl};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const microseconds start = LeastTime(words, {});
    std::printf("kinsockctl %s: %.1f ms of processor time, the loader alone %.1f ms, /bin/true %.1f ms\n",
                arguments.back().c_str(), static_cast<double>(start.count()) / 1000,
                static_cast<double>(loader.count()) / 1000, static_cast<double>(nothing.count()) / 1000);
    EXPECT_LT(start, 2 * loader) << "more than it takes to load the libraries is spent by the program itself";
  }
}

}  // namespace
}  // namespace kinsock
