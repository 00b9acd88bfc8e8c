// SPDX-License-Identifier: Apache-2.0
#include "web/vm_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/temp_dir.h"
#include "tests/web/promtool.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A device of which each counter says another number, from 1,000,001 on, so that it can be found again.
DeviceTotals Distinct(std::vector<std::pair<std::string, uint64_t>>& numbers) {
  DeviceTotals totals;
  uint64_t next = 1'000'001;
  const auto set = [&](const char* name, uint64_t& counter) {
    counter = next++;
    numbers.emplace_back(name, counter);
  };
#define KINSOCK_SET(name, help) set("from_guest_" #name, totals.from_guest_##name);
  KINSOCK_FROM_GUEST_STATS(KINSOCK_SET)
#undef KINSOCK_SET
#define KINSOCK_SET(name, help) set("to_guest_" #name, totals.to_guest_##name);
  KINSOCK_TO_GUEST_STATS(KINSOCK_SET)
#undef KINSOCK_SET
#define KINSOCK_SET(name, help) set(#name, totals.name);
  KINSOCK_DEVICE_STATS(KINSOCK_SET)
#undef KINSOCK_SET
  for (size_t direction = 0; direction < kDirections; ++direction) {
    for (uint64_t& connects : totals.guest_port.connects[direction]) set("connects", connects);
    set("credit_stalls", totals.guest_port.credit_stalls[direction]);
    set("stalled_nanoseconds", totals.guest_port.stalled_nanoseconds[direction]);
  }
  for (uint64_t& connections : totals.guest_port.connections) set("connections", connections);
  for (size_t reason = 1; reason < kCloseReasons; ++reason) set("closes", totals.guest_port.closes[reason]);
  for (PortTotals* port : {&totals.guest_port, &totals.host_port}) {
    set("limited_buffered_bytes", port->limited_buffered_bytes);
    set("buffered_bytes", port->buffered_bytes);
  }
  // Times are told in seconds.
  for (auto& [name, number] : numbers) {
    if (name.find("nanoseconds") == std::string::npos) continue;
    number = 0;
  }
  return totals;
}

VmSnapshotPtr Vm(const std::string& id, Cid cid) {
  auto definition = std::make_shared<VmDefinition>();
  definition->id = id;
  definition->uid = "uid-of-" + id;
  auto vm = std::make_shared<VmSnapshot>();
  vm->definition = definition;
  vm->status.cid = cid;
  return vm;
}

std::string Write(const DaemonSample& sample, PerVmMetrics per_vm) {
  MetricWriter out;
  WriteVmMetrics(sample, per_vm, out);
  return out.Take();
}

size_t CountSeries(const std::string& metrics, const std::string& prefix) {
  size_t count = 0;
  for (const auto line : absl::StrSplit(metrics, '\n')) count += line.substr(0, prefix.size()) == prefix ? 1 : 0;
  return count;
}

TEST(VmMetricsTest, NothingThatIsCountedIsLeftOut) {
  std::vector<std::pair<std::string, uint64_t>> numbers;
  DaemonSample sample;
  sample.vms.push_back({Vm("web-1", 42), Distinct(numbers)});
  const std::string metrics = Write(sample, PerVmMetrics::kFull);
  for (const auto& [name, number] : numbers) {
    if (number != 0) {
      EXPECT_THAT(metrics, HasSubstr(absl::StrCat(" ", number, "\n"))) << name;
    }
  }
  EXPECT_THAT(metrics,
              HasSubstr("kinsock_vm_info{vm=\"web-1\",network=\"default\",uid=\"uid-of-web-1\",cid=\"42\"} 1\n"));
  EXPECT_THAT(metrics,
              HasSubstr("kinsock_vm_queue_rested_seconds_total{vm=\"web-1\",network=\"default\",queue=\"tx\"} 0.001"));
}

TEST(VmMetricsTest, PacketsOfAllClassesTogetherAreThoseThatTheApiTells) {
  DaemonSample sample;
  DeviceStats stats;
  for (const StatsPeer peer : {StatsPeer::kSibling, StatsPeer::kHost}) {
    for (const OpClass op_class : {OpClass::kData, OpClass::kCredit, OpClass::kControl}) {
      const uint64_t packets = (peer == StatsPeer::kHost ? 8 : 1) << static_cast<int>(op_class);
      stats.from_guest_packets_of(peer, op_class).Add(packets);
      stats.to_guest_packets_of(peer, op_class).Add(64 * packets);
    }
  }
  sample.all += stats;
  EXPECT_EQ(sample.all.from_guest_sibling_packets(), 7u);
  EXPECT_EQ(sample.all.from_guest_host_packets(), 56u);
  EXPECT_EQ(sample.all.to_guest_sibling_packets(), 64 * 7u);
  EXPECT_EQ(sample.all.to_guest_host_packets(), 64 * 56u);
  const std::string metrics = Write(sample, PerVmMetrics::kOff);
  EXPECT_THAT(metrics, HasSubstr("kinsock_transmit_packets_total{peer=\"sibling\",op_class=\"data\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_transmit_packets_total{peer=\"sibling\",op_class=\"credit\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_transmit_packets_total{peer=\"host\",op_class=\"control\"} 32\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_receive_packets_total{peer=\"host\",op_class=\"data\"} 512\n"));
}

TEST(VmMetricsTest, PrometheusHasNothingAgainstThem) {
  std::vector<std::pair<std::string, uint64_t>> numbers;
  DaemonSample sample;
  sample.all = Distinct(numbers);
  sample.vms.push_back({Vm("web-1", 42), sample.all});
  // The API lets no such name in; whatever it will let in must not break a line.
  sample.vms.push_back({Vm("a\"b\\c\nd", 43), sample.all});
  const testing::TempDir directory;
  EXPECT_EQ(testing::CheckMetrics(Write(sample, PerVmMetrics::kFull), directory.path()), "");
}

TEST(VmMetricsTest, AnOperatorOfManyVmsTakesFewerOrNoneForEach) {
  DaemonSample sample;
  for (int i = 0; i < 10; ++i) sample.vms.push_back({Vm(absl::StrCat("vm-", i), 3 + i), DeviceTotals()});
  sample.all.to_guest_host_bytes = 77;
  const size_t full = CountSeries(Write(sample, PerVmMetrics::kFull), "kinsock_vm_");
  const size_t basic = CountSeries(Write(sample, PerVmMetrics::kBasic), "kinsock_vm_");
  EXPECT_EQ(full, 10u * 72) << "the documentation says so";
  EXPECT_EQ(basic, 10u * 20) << "the documentation says so";
  const std::string off = Write(sample, PerVmMetrics::kOff);
  EXPECT_EQ(CountSeries(off, "kinsock_vm_"), 0u);
  EXPECT_THAT(off, HasSubstr("kinsock_receive_bytes_total{peer=\"host\"} 77\n"));
}

TEST(VmMetricsTest, WhateverHappensToAVmItsSeriesAreBounded) {
  std::vector<std::pair<std::string, uint64_t>> numbers;
  DaemonSample sample;
  sample.vms.push_back({Vm("web-1", 42), Distinct(numbers)});
  EXPECT_EQ(CountSeries(Write(sample, PerVmMetrics::kFull), "kinsock_vm_"), 125u) << "the documentation says so";
  EXPECT_EQ(CountSeries(Write(sample, PerVmMetrics::kBasic), "kinsock_vm_"), 50u) << "the documentation says so";
}

TEST(VmMetricsTest, TheSumsOfWhatWasRefusedBeginWithZero) {
  DaemonSample sample;
  sample.vms.push_back({Vm("web", Cid(3)), {}});
  const std::string metrics = Write(sample, PerVmMetrics::kFull);
  EXPECT_THAT(metrics, HasSubstr("kinsock_refused_packets_total{reason=\"bad_op\"} 0\n"));
  EXPECT_THAT(metrics, Not(HasSubstr("kinsock_vm_refused_packets_total")));
}

TEST(VmMetricsTest, AConnectionThatHasChangedItsStateInThisMomentDoesNotMakeThemNegative) {
  DeviceStats stats;
  stats.guest_port.CountState(FlowInfo::State::kConnecting, -1);
  stats.guest_port.CountState(FlowInfo::State::kEstablished, 1);
  DaemonSample sample;
  sample.all += stats;
  const std::string metrics = Write(sample, PerVmMetrics::kOff);
  EXPECT_THAT(metrics, HasSubstr("kinsock_connections{state=\"connecting\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_connections{state=\"established\"} 1\n"));
}

}  // namespace
}  // namespace kinsock
