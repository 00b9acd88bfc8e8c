// SPDX-License-Identifier: Apache-2.0
#include "server/model/vm_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

class VmFilterTest : public ::testing::Test {
 protected:
  VmFilterTest() {
    auto definition = std::make_shared<VmDefinition>();
    definition->id = "web-1";
    definition->labels = {{"tier", "web"}, {"a.b/c", "x y"}, {"empty", ""}};
    definition->spec.groups = {"db", "front end"};
    vm_.definition = definition;
    vm_.status.cid = 42;
    vm_.status.state = VmState::kActive;
    for (size_t i = 0; i < kConditionTypes.size(); ++i) vm_.status.conditions[i].type = kConditionTypes[i];
    vm_.status.conditions[1].holds = true;
    vm_.status.conditions[2].known = false;
  }
  bool Matches(const std::string& text) const {
    const absl::StatusOr<VmFilter> filter = VmFilter::Parse(text);
    EXPECT_TRUE(filter.ok()) << text << ": " << filter.status();
    return filter.ok() && filter->Matches(vm_);
  }
  static std::string Fault(const std::string& text) {
    const absl::Status status = VmFilter::Parse(text).status();
    EXPECT_EQ(ErrorReason(status), "FIELD_INVALID") << text;
    return std::string(status.message());
  }

  VmSnapshot vm_;
};

TEST_F(VmFilterTest, NothingSaidLetsEverythingThrough) {
  EXPECT_TRUE(Matches(""));
  EXPECT_TRUE(Matches("  "));
  EXPECT_TRUE(VmFilter::Parse(" ")->matches_all());
  EXPECT_FALSE(VmFilter::Parse("cid=1")->matches_all());
}

TEST_F(VmFilterTest, WhatMatches) {
  for (const char* text : {"labels.tier=web",
                           "labels.tier = \"web\"",
                           "labels.tier:web",
                           "labels.tier:*",
                           "labels:tier",
                           "labels.tier!=db",
                           "labels.none != web",
                           "labels.a.b/c=\"x y\"",
                           "labels.empty=\"\"",
                           "labels.empty:*",
                           "state=ACTIVE",
                           "state != DRAINED",
                           "cid=42",
                           "cid!=43",
                           "groups:db",
                           "groups:\"front end\"",
                           "name=vms/web-1",
                           "condition.DriverReady = TRUE",
                           "condition.FrontEndConnected=FALSE",
                           "condition.GuestReady=UNKNOWN",
                           "condition.GuestReady != TRUE",
                           "labels.tier=web AND state=ACTIVE AND cid=42",
                           "labels.AND!=AND AND cid=42"}) {
    EXPECT_TRUE(Matches(text)) << text;
  }
}

TEST_F(VmFilterTest, WhatDoesNot) {
  for (const char* text : {"labels.tier=db",
                           "labels.tier:db",
                           "labels.none=web",
                           "labels.none:*",
                           "labels:none",
                           "labels.tier!=web",
                           "labels.tier=WEB",
                           "labels.tier=\"*\"",
                           "state=LISTENING",
                           "state!=ACTIVE",
                           "cid=43",
                           "cid!=42",
                           "groups:front",
                           "groups:default",
                           "name=web-1",
                           "condition.GuestReady=TRUE",
                           "condition.GuestReady=FALSE",
                           "condition.DriverReady!=TRUE",
                           "labels.tier=web AND cid=43",
                           "labels.tier=\"we\\\"b\\\\\""}) {
    EXPECT_FALSE(Matches(text)) << text;
  }
}

TEST_F(VmFilterTest, AVmWithoutGroupsIsInTheDefaultOne) {
  vm_.definition = std::make_shared<VmDefinition>();
  EXPECT_TRUE(Matches("groups:default"));
}

TEST_F(VmFilterTest, FaultsHaveTheirPlace) {
  EXPECT_THAT(Fault("tier=web"), HasSubstr("at byte 1: \"tier\" is no field"));
  EXPECT_THAT(Fault("cid=42 OR cid=43"), HasSubstr("at byte 8: expected AND"));
  EXPECT_THAT(Fault("cid=42 AND"), HasSubstr("at byte 11: \"\" is no field"));
  EXPECT_THAT(Fault("cid=42AND"), HasSubstr("at byte 1: \"42AND\" is no CID"));
  EXPECT_THAT(Fault("cid 42"), HasSubstr("at byte 5: expected =, != or :"));
  EXPECT_THAT(Fault("cid="), HasSubstr("at byte 5: expected a value"));
  EXPECT_THAT(Fault("cid:42"), HasSubstr("has one value"));
  EXPECT_THAT(Fault("cid=4294967296"), HasSubstr("is no CID"));
  EXPECT_THAT(Fault("groups=db"), HasSubstr("has many values"));
  EXPECT_THAT(Fault("condition.GuestReady=yes"), HasSubstr("neither TRUE, FALSE nor UNKNOWN"));
  EXPECT_THAT(Fault("condition.GuestReady:TRUE"), HasSubstr("has one value"));
  EXPECT_THAT(Fault("condition.Ready=TRUE"), HasSubstr("at byte 1: \"Ready\" is no condition; use one of Front"));
  EXPECT_THAT(Fault("condition"), HasSubstr("is no field"));
  EXPECT_THAT(Fault("state=active"), HasSubstr("is no state"));
  EXPECT_THAT(Fault("labels.=x"), HasSubstr("\"labels.\" is no field"));
  EXPECT_THAT(Fault("labels.a=\"x"), HasSubstr("at byte 10: the text has no closing quote"));
  EXPECT_THAT(Fault("labels.a=\"\\x\""), HasSubstr("at byte 11: a backslash"));
  EXPECT_THAT(Fault("labels.a=*"), HasSubstr("stands behind labels.KEY:"));
  EXPECT_THAT(Fault("(cid=1)"), HasSubstr("at byte 1: "));
}

TEST_F(VmFilterTest, ItHasAnEnd) {
  EXPECT_THAT(Fault("name=" + std::string(VmFilter::kMaxBytes, 'x')), HasSubstr("at most 2048 are read"));
  std::string many = "cid=42";
  for (size_t i = 1; i < VmFilter::kMaxTerms; ++i) many += " AND cid=42";
  EXPECT_TRUE(Matches(many));
  EXPECT_THAT(Fault(many + " AND cid=42"), HasSubstr("more than 32 terms"));
}

}  // namespace
}  // namespace kinsock
