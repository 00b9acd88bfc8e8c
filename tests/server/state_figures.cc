// SPDX-License-Identifier: Apache-2.0
//
// What the state file costs: CreateVm and DeleteVm with it and without, by one client and by many at a time; how long a
// restart with a thousand VMs takes until all of them listen. Prints figures (docs/adr/0014-state-in-sqlite.md). The
// directory is made under /tmp.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "tests/server/daemon_process.h"

namespace kinsock {
namespace {

using std::chrono::steady_clock;
using testing::DaemonProcess;

double Milliseconds(steady_clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

// `clients` at a time make and delete VMs, `calls` of each all together.
void Measure(const char* what, DaemonProcess& daemon, int clients, int calls) {
  Mutex mutex;
  std::vector<double> creations, deletions;
  const auto begin = steady_clock::now();
  std::vector<std::thread> threads;
  for (int client = 0; client < clients; ++client) {
    threads.emplace_back([&, client] {
      for (int i = 0; i < calls / clients; ++i) {
        const std::string id = absl::StrCat("m", client, "-", i);
        const auto start = steady_clock::now();
        EXPECT_TRUE(daemon.Create(id).ok());
        const auto made = steady_clock::now();
        EXPECT_TRUE(daemon.Delete(id).ok());
        const auto gone = steady_clock::now();
        MutexLock lock(mutex);
        creations.push_back(Milliseconds(made - start));
        deletions.push_back(Milliseconds(gone - made));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = Milliseconds(steady_clock::now() - begin) / 1000;
  for (auto* times : {&creations, &deletions}) {
    std::sort(times->begin(), times->end());
    const size_t count = times->size();
    printf("%-10s %3d clients %-8s p50 %7.2f ms  p99 %7.2f ms  (%zu calls, %.0f mutations/s)\n", what, clients,
           times == &creations ? "CreateVm" : "DeleteVm", (*times)[count / 2], (*times)[count * 99 / 100], count,
           2 * static_cast<double>(count) / seconds);
  }
}

TEST(StateFigures, Mutations) {
  for (const auto state : {DaemonProcess::State::kInMemory, DaemonProcess::State::kOnDisk}) {
    DaemonProcess daemon(state);
    ASSERT_TRUE(daemon.Start()) << daemon.errors();
    for (const int clients : {1, 16, 64}) {
      Measure(state == DaemonProcess::State::kOnDisk ? "on disk" : "in memory", daemon, clients, 1920);
    }
    daemon.Stop();
  }
}

TEST(StateFigures, RestartWithAThousandVms) {
  DaemonProcess daemon;
  ASSERT_TRUE(daemon.Start()) << daemon.errors();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(daemon.Create(absl::StrCat("vm-", i)).ok());
  for (int round = 0; round < 5; ++round) {
    daemon.Kill();
    const auto begin = steady_clock::now();
    ASSERT_TRUE(daemon.Start()) << daemon.errors();
    const auto up = steady_clock::now();
    const auto vms = daemon.List();
    EXPECT_EQ(vms.size(), 1000u);
    for (const auto& [id, vm] : vms) EXPECT_EQ(vm.status().state(), v1::VmStatus::LISTENING);
    printf("restart after kill -9 with 1,000 VMs: all listen after %.0f ms\n", Milliseconds(up - begin));
  }
}

}  // namespace
}  // namespace kinsock
