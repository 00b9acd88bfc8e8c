// SPDX-License-Identifier: Apache-2.0
#include "server/status/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/google/rpc/error_details.pb.h"
#include "api/google/rpc/status.pb.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

// The detail of the wanted type that a client finds in `status`.
template <typename Message>
Message Detail(const grpc::Status& status) {
  google::rpc::Status packed;
  EXPECT_TRUE(packed.ParseFromString(status.error_details()));
  EXPECT_EQ(packed.code(), static_cast<int>(status.error_code()));
  EXPECT_EQ(packed.message(), status.error_message());
  Message message;
  for (const google::protobuf::Any& any : packed.details()) {
    if (any.UnpackTo(&message)) return message;
  }
  ADD_FAILURE() << "no " << Message::descriptor()->full_name();
  return message;
}

TEST(ErrorTest, AClientReadsReasonMetadataAndDetails) {
  const absl::Status error = Error(absl::StatusCode::kFailedPrecondition, "VM_ATTACHED", "vms/a is in use")
                                 .With("pid", "7")
                                 .Resource("kinsock.v1.Vm", "vms/a")
                                 .RetryAfter(std::chrono::milliseconds(1500))
                                 .Precondition("VM_ATTACHED", "vms/a", "stop it")
                                 .Quota("daemon", "full");
  EXPECT_EQ(ErrorReason(error), "VM_ATTACHED");

  const grpc::Status status = ToGrpcStatus(error);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "vms/a is in use");
  const auto info = Detail<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.domain(), "kinsock");
  EXPECT_EQ(info.metadata().at("pid"), "7");
  EXPECT_EQ(Detail<google::rpc::ResourceInfo>(status).resource_name(), "vms/a");
  EXPECT_EQ(Detail<google::rpc::RetryInfo>(status).retry_delay().seconds(), 1);
  EXPECT_EQ(Detail<google::rpc::RetryInfo>(status).retry_delay().nanos(), 500'000'000);
  EXPECT_EQ(Detail<google::rpc::PreconditionFailure>(status).violations(0).description(), "stop it");
  EXPECT_EQ(Detail<google::rpc::QuotaFailure>(status).violations(0).subject(), "daemon");
}

TEST(ErrorTest, SuccessStaysSuccess) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok()); }

TEST(FieldsInvalidTest, NamesAllFields) {
  const absl::Status error = FieldsInvalid("vm \"a\"", {{"x", "is bad"}, {"y", "is worse"}});
  EXPECT_EQ(error.message(), "vm \"a\": x: is bad; y: is worse");
  const auto bad = Detail<google::rpc::BadRequest>(ToGrpcStatus(error));
  ASSERT_EQ(bad.field_violations_size(), 2);
  EXPECT_EQ(bad.field_violations(1).field(), "y");
  EXPECT_EQ(ErrorFields(error).size(), 2u);
}

TEST(FieldsInvalidTest, FitsIntoTheTrailersThatClientsTake) {
  std::vector<FieldViolation> many;
  for (int i = 0; i < 1000; ++i) many.push_back({absl::StrCat("field", i), std::string(100, 'x')});
  const grpc::Status status = ToGrpcStatus(FieldsInvalid("", many));
  // 8 KiB hold the details in base64, the message, and what gRPC itself sends.
  EXPECT_LT(status.error_details().size() * 4 / 3 + status.error_message().size(), 7800u);
  const auto bad = Detail<google::rpc::BadRequest>(status);
  EXPECT_THAT(bad.field_violations(bad.field_violations_size() - 1).description(), HasSubstr("more"));
}

}  // namespace
}  // namespace kinsock
