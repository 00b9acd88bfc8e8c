// SPDX-License-Identifier: Apache-2.0
#include "server/service/lifecycle_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "server/model/vm_event.h"
#include "server/rpc/event_log.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

class LifecycleEventsTest : public ::testing::Test {
 protected:
  void Becomes(VmState state, int64_t generation = 1) {
    auto definition = std::make_shared<VmDefinition>();
    definition->id = "a";
    definition->uid = "uid";
    definition->generation = generation;
    auto vm = std::make_shared<VmSnapshot>();
    vm->definition = std::move(definition);
    vm->status.state = state;
    last_ = std::move(vm);
    events_.On({made_ ? VmEvent::Type::kModified : VmEvent::Type::kAdded, last_});
    made_ = true;
  }
  void IsDeleted() { events_.On({VmEvent::Type::kDeleted, last_}); }
  // More often than is told, and then the VMM stays.
  void ComesAndGoesAndComes(size_t changes) {
    for (size_t i = 0; i + 1 < changes; i += 2) {
      Becomes(VmState::kConnected);
      Becomes(VmState::kListening);
    }
    Becomes(VmState::kConnected);
  }
  void TimePasses(std::chrono::nanoseconds time) {
    clock_.Advance(time);
    while (loop_.RunOnce()) continue;
  }

  std::vector<v1::Event> Told() {
    std::vector<v1::Event> told;
    const auto subscription = log_.source().ring->Subscribe(seen_, [] {});
    for (const auto& [version, event] : (*subscription)->Take(1000)) told.push_back(*event);
    seen_ = (*subscription)->cursor();
    return told;
  }

  testing::SimulatedClock clock_;
  EventLoop loop_{clock_};
  EventLog log_{loop_};
  LifecycleEvents events_{loop_, log_};
  VmSnapshotPtr last_;
  bool made_ = false;
  uint64_t seen_ = 0;
};

TEST_F(LifecycleEventsTest, AChangeOfTheDefinitionAndOneOfTheStateAreTwoThings) {
  Becomes(VmState::kListening);
  Becomes(VmState::kListening);
  Becomes(VmState::kListening, 2);
  Becomes(VmState::kConnected, 2);
  const std::vector<v1::Event> told = Told();
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].reason(), "VM_CREATED");
  EXPECT_EQ(told[1].reason(), "VM_UPDATED");
  EXPECT_EQ(told[1].fields().at("generation"), "2");
  EXPECT_EQ(told[2].reason(), "VM_STATE");
  EXPECT_EQ(told[2].message(), "vms/a is CONNECTED, was LISTENING");
}

TEST_F(LifecycleEventsTest, AVmmThatComesAndGoesWithoutEndIsToldOfNowAndThen) {
  Becomes(VmState::kListening);
  constexpr size_t kTimes = 1001;
  ComesAndGoesAndComes(kTimes);
  EXPECT_EQ(Told().size(), 1 + LifecycleEvents::kBurst);
  Becomes(VmState::kListening);
  EXPECT_TRUE(Told().empty());

  TimePasses(LifecycleEvents::kPerEvent);
  const std::vector<v1::Event> told = Told();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].message(), "vms/a is LISTENING, was CONNECTED");
  EXPECT_EQ(told[0].fields().at("suppressed"), std::to_string(kTimes - LifecycleEvents::kBurst));
}

TEST_F(LifecycleEventsTest, TheLastEventSaysWhatTheVmIs) {
  Becomes(VmState::kListening);
  ComesAndGoesAndComes(101);
  Becomes(VmState::kActive);
  ASSERT_NE(Told().back().fields().at("to"), "ACTIVE") << "it is beyond what may be told at once";

  // Nothing more happens to the VM, ever.
  TimePasses(LifecycleEvents::kPerEvent);
  const std::vector<v1::Event> told = Told();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].fields().at("to"), "ACTIVE");
  EXPECT_EQ(told[0].fields().at("from"), "CONNECTED");
  TimePasses(100 * LifecycleEvents::kPerEvent);
  EXPECT_TRUE(Told().empty()) << "once is enough";

  Becomes(VmState::kConnected);
  ASSERT_EQ(Told().size(), 1u) << "by now it may be told at once again";
}

TEST_F(LifecycleEventsTest, OfAVmThatIsGoneNothingIsTold) {
  Becomes(VmState::kListening);
  ComesAndGoesAndComes(101);
  IsDeleted();
  EXPECT_EQ(Told().back().reason(), "VM_DELETED");
  TimePasses(LifecycleEvents::kPerEvent);
  EXPECT_TRUE(Told().empty());
}

}  // namespace
}  // namespace kinsock
