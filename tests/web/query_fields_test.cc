// SPDX-License-Identifier: Apache-2.0
#include "web/query_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/kinsock/v1/connection_service.pb.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(QueryFieldsTest, ParametersBecomeTheFieldsOfTheirNames) {
  v1::ListVmsRequest vms;
  ASSERT_TRUE(SetFields({{"page_size", "7"}, {"view", "FULL"}, {"filter", "labels.tier = web"}}, vms).ok());
  EXPECT_EQ(vms.page_size(), 7);
  EXPECT_EQ(vms.view(), v1::FULL);
  EXPECT_EQ(vms.filter(), "labels.tier = web");

  v1::ListConnectionsRequest connections;
  ASSERT_TRUE(SetFields({{"states", "CLOSED"}, {"states", "CLOSING"}, {"vm", "vms/a"}}, connections).ok());
  EXPECT_THAT(connections.states(), ElementsAre(v1::Connection::CLOSED, v1::Connection::CLOSING));
  EXPECT_EQ(connections.vm(), "vms/a");
}

TEST(QueryFieldsTest, EveryParameterThatIsWrongIsNamedAndWhatWouldBeRightIsSaid) {
  v1::ListVmsRequest request;
  const absl::Status wrong = SetFields(
      {{"page_size", "many"}, {"view", "PARTIAL"}, {"pagesize", "1"}, {"filter", "a"}, {"filter", "b"}}, request);
  EXPECT_EQ(ErrorReason(wrong), "FIELD_INVALID");
  EXPECT_THAT(ErrorFields(wrong), SizeIs(4));
  const std::string message(wrong.message());
  EXPECT_THAT(message, HasSubstr("\"page_size\": \"many\" is not a number"));
  EXPECT_THAT(message, HasSubstr("\"view\": \"PARTIAL\" is none of BASIC, FULL"));
  EXPECT_THAT(message,
              HasSubstr("\"pagesize\": is no parameter of this; there are page_size, page_token, view, filter"));
  EXPECT_THAT(message, HasSubstr("\"filter\": is given twice"));
}

TEST(QueryFieldsTest, WhatIsNoTextIsRefused) {
  v1::ListVmsRequest request;
  EXPECT_FALSE(SetFields({{"filter", "\xff\xfe"}}, request).ok());
  EXPECT_FALSE(SetFields({{"\xff\xfe", "1"}}, request).ok());
  EXPECT_FALSE(SetFields({{"page_size", "99999999999999999999"}}, request).ok());
}

}  // namespace
}  // namespace kinsock
