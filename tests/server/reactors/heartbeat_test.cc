// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/heartbeat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "server/reactors/reactor_pool.h"

namespace kinsock {
namespace {

using std::chrono::milliseconds;

class HeartbeatTest : public ::testing::Test {
 protected:
  // Only a heart that has stopped takes so long.
  template <typename Condition>
  bool RunUntil(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      main_.RunOnce(milliseconds(5));
    }
    return true;
  }
  bool IsStuck(size_t reactor) const { return heartbeat_.is_stuck(heartbeat_.reactors()[reactor].silent_for); }

  EventLoop main_;
  ReactorPool pool_{main_, {.reactors = 2}, [](DeviceId, const DeviceStatus&) {}};
  Heartbeat heartbeat_{main_, pool_, {.interval = milliseconds(2), .stuck = milliseconds(100)}};
};

TEST_F(HeartbeatTest, EachReactorIsMeasured) {
  ASSERT_TRUE(RunUntil([&] {
    const auto reactors = heartbeat_.reactors();
    uint64_t fewest = UINT64_MAX;
    for (const auto& each : reactors) fewest = std::min(fewest, each.delays.total());
    return fewest >= 10;
  }));
  for (const auto& each : heartbeat_.reactors()) EXPECT_GT(each.delays.sum.count(), 0);
}

TEST_F(HeartbeatTest, AReactorThatIsStuckIsFoundOutAndSoIsItsRecovery) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  pool_.Post(1, [released] { released.wait(); });
  ASSERT_TRUE(RunUntil([&] { return IsStuck(1); }));
  EXPECT_FALSE(heartbeat_.all_alive());
  EXPECT_TRUE(RunUntil([&] { return !IsStuck(0); })) << "the other one goes on";
  release.set_value();
  EXPECT_TRUE(RunUntil([&] { return heartbeat_.all_alive(); }));
}

TEST_F(HeartbeatTest, WhoWatchesIsToldOnceOfEachChange) {
  std::vector<bool> told;
  heartbeat_.WatchReactors([&](bool alive) { told.push_back(alive); });
  EXPECT_EQ(told, std::vector<bool>{true});
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  pool_.Post(0, [released] { released.wait(); });
  ASSERT_TRUE(RunUntil([&] { return told.size() >= 2; }));
  for (int i = 0; i < 20; ++i) main_.RunOnce(milliseconds(5));
  EXPECT_EQ(told, (std::vector<bool>{true, false}));
  release.set_value();
  ASSERT_TRUE(RunUntil([&] { return told.size() >= 3; }));
  EXPECT_TRUE(told[2]);
  heartbeat_.WatchReactors(nullptr);
}

TEST_F(HeartbeatTest, AMainThreadThatIsStuckIsFoundOut) {
  ASSERT_TRUE(RunUntil([&] { return heartbeat_.all_alive(); }));
  while (!heartbeat_.is_stuck(heartbeat_.main_silent_for())) std::this_thread::yield();
  EXPECT_FALSE(heartbeat_.all_alive());
  EXPECT_TRUE(RunUntil([&] { return heartbeat_.all_alive(); }));
}

}  // namespace
}  // namespace kinsock
