// SPDX-License-Identifier: Apache-2.0
#include "cli/top/top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/top/top_look.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class TopTest : public ::testing::Test {
 protected:
  v1::Vm& Add(const std::string& name, const std::string& uid) {
    v1::Vm& vm = *vms_.add_vms();
    vm.set_name("vms/" + name);
    vm.set_uid(uid);
    vm.mutable_status()->set_state(v1::VmStatus::ACTIVE);
    return vm;
  }
  static v1::Stats& StatsOf(v1::Vm& vm) { return *vm.mutable_status()->mutable_stats(); }

  v1::ListVmsResponse vms_;
  Top top_;
};

TEST_F(TopTest, RatesAreOfWhatHappenedBetweenTwoLooks) {
  v1::Vm& vm = Add("web", "1");
  StatsOf(vm).mutable_to_guest()->set_host_bytes(1000);
  EXPECT_EQ(top_.LookAtVms(vms_, 0)[0].receive, 0) << "nothing is known of before";
  StatsOf(vm).mutable_to_guest()->set_host_bytes(2000);
  StatsOf(vm).mutable_to_guest()->set_sibling_bytes(3000);
  StatsOf(vm).mutable_from_guest()->set_sibling_bytes(500);
  StatsOf(vm).mutable_from_guest()->set_connects_accepted(7);
  (*StatsOf(vm).mutable_from_guest()->mutable_connects_refused())["GUEST_RST"] = 3;
  (*StatsOf(vm).mutable_closes())["FINISHED"] = 5;
  StatsOf(vm).mutable_from_guest()->set_dropped_spoofed_source(20);
  const std::vector<TopRow> rows = top_.LookAtVms(vms_, 2);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].name, "web");
  EXPECT_EQ(rows[0].receive, 2000);
  EXPECT_EQ(rows[0].transmit, 250);
  EXPECT_EQ(rows[0].connects, 5);
  EXPECT_EQ(rows[0].connections, 2u);
  EXPECT_EQ(rows[0].drops, 10);
}

TEST_F(TopTest, AVmThatWasMadeAnewAndADaemonThatWasStartedAnewBeginAtNothing) {
  v1::Vm& vm = Add("web", "1");
  StatsOf(vm).mutable_to_guest()->set_host_bytes(1000);
  top_.LookAtVms(vms_, 0);
  vm.set_uid("2");
  StatsOf(vm).mutable_to_guest()->set_host_bytes(9000);
  EXPECT_EQ(top_.LookAtVms(vms_, 1)[0].receive, 0);
  StatsOf(vm).mutable_to_guest()->set_host_bytes(10);
  EXPECT_EQ(top_.LookAtVms(vms_, 1)[0].receive, 0) << "and not what is left of 2^64";
}

TEST_F(TopTest, PairsAreToldApartByWhoTheyAre) {
  v1::StatsReport report;
  for (const char* uid : {"1", "2"}) {
    v1::PairStats& pair = *report.add_pairs();
    pair.mutable_initiator()->set_vm("vms/web");
    pair.mutable_initiator()->set_vm_uid(uid);
    pair.mutable_target()->set_vm("vms/web");
    pair.mutable_target()->set_vm_uid(uid);
    pair.mutable_target()->set_host(true);
    pair.set_open_connections(4);
  }
  top_.LookAtPairs(report, 0);
  report.mutable_pairs(1)->mutable_to_target()->set_bytes(300);
  std::vector<TopRow> rows = top_.LookAtPairs(report, 3);
  SortTop("bytes", rows);
  EXPECT_EQ(rows[0].name, "web > host(web)");
  EXPECT_EQ(rows[0].transmit, 100);
  EXPECT_EQ(rows[1].transmit, 0);
  EXPECT_EQ(rows[1].connections, 4u);
}

TEST_F(TopTest, RowsAreSortedByWhatIsAskedFor) {
  for (const std::string& key : TopKeys()) {
    std::vector<TopRow> rows(2);
    rows[0].name = "b";
    rows[1].name = "a";
    SortTop(key, rows);
    EXPECT_EQ(rows[0].name, "a") << key << ": by name where all else is the same";
  }
  std::vector<TopRow> rows{{.name = "a", .connections = 1, .receive = 5}, {.name = "b", .connections = 2}};
  SortTop("conns", rows);
  EXPECT_EQ(rows[0].name, "b");
  SortTop("bytes", rows);
  EXPECT_EQ(rows[0].name, "a");
  EXPECT_THAT(RenderTop(rows, true), AllOf(HasSubstr("##########"), StartsWith("NAME ")));
}

TEST_F(TopTest, AProgramIsToldEveryNumber) {
  TopSight sight{.what = "vms", .seconds = 1.5, .rows = {{.name = "web", .state = "ACTIVE", .receive = 2.5}}};
  const ctl::TopSample vms = ToSample(sight);
  EXPECT_EQ(vms.interval().seconds(), 1);
  EXPECT_EQ(vms.interval().nanos(), 500'000'000);
  EXPECT_GT(vms.time().seconds(), 0);
  ASSERT_EQ(vms.rows_size(), 1);
  EXPECT_EQ(vms.rows(0).name(), "web");
  EXPECT_EQ(vms.rows(0).receive_bytes_per_second(), 2.5);
  EXPECT_TRUE(vms.rows(0).has_connections() && vms.rows(0).has_stalls_per_second() &&
              vms.rows(0).has_drops_per_second())
      << "zeros are numbers, too";
  sight.what = "pairs";
  EXPECT_FALSE(ToSample(sight).rows(0).has_drops_per_second()) << "nobody counts them for a pair";
}

TEST(TopTextTest, NumbersAreShort) {
  EXPECT_EQ(ShortNumber(0), "0");
  EXPECT_EQ(ShortNumber(0.25), "0.2");
  EXPECT_EQ(ShortNumber(9.96), "10");
  EXPECT_EQ(ShortNumber(999), "999");
  EXPECT_EQ(ShortNumber(999.6), "1.0K");
  EXPECT_EQ(ShortNumber(34'000'000), "34M");
  EXPECT_EQ(ShortNumber(1.8e19), "18E");
}

TEST(TopTextTest, AScreenHoldsWhatFits) {
  EXPECT_EQ(FitScreen("name  state\nweb\ndb\n", 6, 2), "name  \nweb\n");
  EXPECT_EQ(FitScreen("\xc3\xa4\xc3\xb6\xc3\xbc", 2, 9), "\xc3\xa4\xc3\xb6\n") << "whole characters";
  EXPECT_EQ(FitScreen("x", 0, 1), "\n");
  EXPECT_EQ(FitScreen("x", 9, 0), "");
}

}  // namespace
}  // namespace kinsock
