// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/vm_event_limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

class VmEventLimiterTest : public ::testing::Test {
 protected:
  static VmEventLimiter::Vm Vm(int number) { return {absl::StrCat("uid-", number), absl::StrCat("vms/", number)}; }

  void Say(const VmEventLimiter::Vm& vm, uint64_t times = 1) {
    for (uint64_t i = 0; i < times; ++i) {
      v1::Event event;
      event.set_reason("POLICY_DENIED");
      (*event.mutable_fields())["initiator"] = vm.name;
      limiter_.Add(vm, std::move(event));
    }
  }

  void Tell(const v1::Event& event) {
    if (event.reason() == "POLICY_DENIED") {
      ++told_[event.fields().at("initiator")];
      return;
    }
    EXPECT_EQ(event.reason(), "DENIALS_SUPPRESSED");
    EXPECT_EQ(event.type(), v1::Event::DENIAL);
    counted_[event.object()] += std::stoull(event.fields().at("count"));
    ++counts_;
    last_message_ = event.message();
  }

  void Pass(std::chrono::seconds time) {
    for (; time.count() > 0; --time) {
      clock_.Advance(std::chrono::seconds(1));
      loop_.RunOnce();
    }
  }

  testing::SimulatedClock clock_;
  EventLoop loop_{clock_};
  std::map<std::string, uint64_t> told_, counted_;  // by VM
  uint64_t counts_ = 0;                             // events that tell one
  std::string last_message_;
  VmEventLimiter limiter_{
      loop_,
      {.type = v1::Event::DENIAL, .severity = v1::Event::WARNING, .reason = "DENIALS_SUPPRESSED", .what = "denials"},
      [this](v1::Event event) { Tell(event); }};
};

TEST_F(VmEventLimiterTest, WhatOneSaysTooMuchIsCountedAndToldWithinASecond) {
  Say(Vm(1), 100);
  limiter_.Suppress(Vm(1), 900);
  EXPECT_EQ(told_["vms/1"], VmEventLimiter::kBurst);
  EXPECT_EQ(counts_, 0u);
  Pass(std::chrono::seconds(1));
  EXPECT_EQ(counted_["vms/1"], 1000 - VmEventLimiter::kBurst);
  EXPECT_THAT(last_message_, HasSubstr("vms/1: 984 more denials"));
}

TEST_F(VmEventLimiterTest, ANoisyVmDoesNotSilenceAnother) {
  for (int second = 0; second < 60; ++second) {
    Say(Vm(1), 1000);
    if (second % 5 == 0) Say(Vm(2));
    Pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(told_["vms/2"], 12u) << "each";
  EXPECT_EQ(counted_.count("vms/2"), 0u);
  EXPECT_LE(told_["vms/1"], VmEventLimiter::kBurst + 60 / 2);
  Pass(std::chrono::seconds(4));
  EXPECT_EQ(told_["vms/1"] + counted_["vms/1"], 60'000u) << "nothing is lost";
  EXPECT_LE(counts_, 60u / 4 + 2);
}

TEST_F(VmEventLimiterTest, HoweverManyAreNoisyTheLogIsNotFlooded) {
  constexpr int kVms = 1000;
  constexpr int kSeconds = 100;
  for (int second = 0; second < kSeconds; ++second) {
    for (int vm = 0; vm < kVms; ++vm) Say(Vm(vm), 20);
    Pass(std::chrono::seconds(1));
  }
  uint64_t told = 0;
  for (const auto& [vm, count] : told_) told += count;
  EXPECT_LE(told, VmEventLimiter::kBurstOfAll + kSeconds * 20);
  EXPECT_LE(counts_, VmEventLimiter::kCountsAtOnce + kSeconds * 10);
  EXPECT_GE(counted_.size(), kVms * 9u / 10) << "each has its turn";

  Pass(std::chrono::seconds(120));
  for (const auto& [vm, count] : counted_) told += count;
  EXPECT_EQ(told, uint64_t{kVms} * 20 * kSeconds) << "nothing is lost";
}

TEST_F(VmEventLimiterTest, WhoIsQuietIsForgotten) {
  for (int vm = 0; vm < 100; ++vm) Say(Vm(vm), 20);
  EXPECT_EQ(limiter_.size(), 100u);
  Pass(VmEventLimiter::kPerEvent * VmEventLimiter::kBurst + std::chrono::seconds(10));
  EXPECT_EQ(limiter_.size(), 0u);
  EXPECT_FALSE(loop_.RunOnce()) << "nothing is left to do";
  Say(Vm(1), 20);
  EXPECT_EQ(told_["vms/1"], 2 * VmEventLimiter::kBurst);
}

TEST_F(VmEventLimiterTest, AVmThatGoesTakesItsEntryAlongAndLeavesItsCount) {
  Say(Vm(1), 20);
  limiter_.Forget("uid-1");
  limiter_.Forget("uid-2");
  EXPECT_EQ(limiter_.size(), 0u);
  EXPECT_EQ(counted_["vms/1"], 20 - VmEventLimiter::kBurst);
}

TEST_F(VmEventLimiterTest, OfManyThatGoAtOnceTheCountsAreToldTogether) {
  const int vms = static_cast<int>(VmEventLimiter::kCountsAtOnce) + 50;
  for (int vm = 0; vm < vms; ++vm) Say(Vm(vm), 20);
  for (int vm = 0; vm < vms; ++vm) limiter_.Forget(absl::StrCat("uid-", vm));
  EXPECT_EQ(limiter_.size(), 1u);
  Pass(std::chrono::seconds(1));
  EXPECT_GT(counted_["connections"], 0u);
  uint64_t sum = 0;
  for (const auto& [vm, count] : counted_) sum += count;
  for (const auto& [vm, count] : told_) sum += count;
  EXPECT_EQ(sum, 20u * static_cast<uint64_t>(vms));
}

}  // namespace
}  // namespace kinsock
