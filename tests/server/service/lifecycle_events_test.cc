// SPDX-License-Identifier: Apache-2.0
#include "server/service/lifecycle_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

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
    events_.On({made_ ? VmEvent::Type::kModified : VmEvent::Type::kAdded, std::move(vm)});
    made_ = true;
  }

  std::vector<v1::Event> Told() {
    std::vector<v1::Event> told;
    const auto subscription = log_.source().ring->Subscribe(seen_, [] {});
    for (const auto& [version, event] : (*subscription)->Take(1000)) told.push_back(*event);
    seen_ = (*subscription)->cursor();
    return told;
  }

  testing::SimulatedClock clock_;
  EventLoop loop_;
  EventLog log_{loop_};
  LifecycleEvents events_{log_, clock_};
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
  constexpr size_t kTimes = 1000;
  for (size_t i = 0; i < kTimes / 2; ++i) {
    Becomes(VmState::kConnected);
    Becomes(VmState::kListening);
  }
  EXPECT_EQ(Told().size(), 1 + LifecycleEvents::kBurst);
  clock_.Advance(LifecycleEvents::kPerEvent);
  Becomes(VmState::kConnected);
  const std::vector<v1::Event> told = Told();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].fields().at("suppressed"), std::to_string(kTimes - LifecycleEvents::kBurst));
}

}  // namespace
}  // namespace kinsock
