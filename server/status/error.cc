// SPDX-License-Identifier: Apache-2.0
#include "server/status/error.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "api/google/rpc/error_details.pb.h"

namespace kinsock {
namespace {

constexpr char kDomain[] = "kinsock";

// An error travels in HTTP/2 trailers, of which gRPC clients take 8 KiB: base64 makes 4/3 of the details, and the
// message stands there a second time.
constexpr size_t kMaxViolationBytes = 4000;
constexpr size_t kMaxMessageBytes = 800;

template <typename Message>
std::string TypeUrl() {
  return absl::StrCat("type.googleapis.com/", Message::descriptor()->full_name());
}

template <typename Message>
void Attach(absl::Status& status, const Message& message) {
  status.SetPayload(TypeUrl<Message>(), absl::Cord(message.SerializeAsString()));
}

template <typename Message>
bool Detach(const absl::Status& status, Message& message) {
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl<Message>());
  return payload.has_value() && message.ParseFromString(std::string(*payload));
}

absl::string_view View(std::string_view text) { return absl::string_view(text.data(), text.size()); }

}  // namespace

Error::Error(absl::StatusCode code, std::string_view reason, std::string_view message)
    : status_(code, View(message)), reason_(reason) {}

Error& Error::With(std::string_view key, std::string_view value) {
  metadata_.emplace_back(key, value);
  return *this;
}

Error& Error::Resource(std::string_view type, std::string_view name) {
  google::rpc::ResourceInfo info;
  info.set_resource_type(std::string(type));
  info.set_resource_name(std::string(name));
  Attach(status_, info);
  return *this;
}

Error& Error::RetryAfter(std::chrono::milliseconds delay) {
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(delay.count() / 1000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(delay.count() % 1000) * 1'000'000);
  Attach(status_, info);
  return *this;
}

Error& Error::Precondition(std::string_view type, std::string_view subject, std::string_view what_to_do) {
  google::rpc::PreconditionFailure failure;
  Detach(status_, failure);
  auto* violation = failure.add_violations();
  violation->set_type(std::string(type));
  violation->set_subject(std::string(subject));
  violation->set_description(std::string(what_to_do));
  Attach(status_, failure);
  return *this;
}

Error& Error::Quota(std::string_view subject, std::string_view description) {
  google::rpc::QuotaFailure failure;
  auto* violation = failure.add_violations();
  violation->set_subject(std::string(subject));
  violation->set_description(std::string(description));
  Attach(status_, failure);
  return *this;
}

Error::operator absl::Status() const {
  google::rpc::ErrorInfo info;
  info.set_reason(reason_);
  info.set_domain(kDomain);
  for (const auto& [key, value] : metadata_) (*info.mutable_metadata())[key] = value;
  absl::Status status = status_;
  Attach(status, info);
  return status;
}

absl::Status FieldsInvalid(std::string_view subject, const std::vector<FieldViolation>& violations) {
  std::string message(subject);
  google::rpc::BadRequest bad;
  size_t told = 0;
  for (const FieldViolation& violation : violations) {
    google::rpc::BadRequest::FieldViolation out;
    out.set_field(violation.field);
    out.set_description(violation.description);
    if (told > 0 && bad.ByteSizeLong() + out.ByteSizeLong() > kMaxViolationBytes) break;
    if (message.size() < kMaxMessageBytes) {
      if (!message.empty()) message += told == 0 ? ": " : "; ";
      absl::StrAppend(&message, violation.field, ": ", violation.description);
    }
    *bad.add_field_violations() = std::move(out);
    ++told;
  }
  if (message.size() > kMaxMessageBytes) message = absl::StrCat(message.substr(0, kMaxMessageBytes), "...");
  if (told < violations.size()) {
    auto* rest = bad.add_field_violations();
    rest->set_description(absl::StrCat("and ", violations.size() - told, " more"));
  }
  absl::Status status = Error(absl::StatusCode::kInvalidArgument, "FIELD_INVALID", message);
  Attach(status, bad);
  return status;
}

absl::Status QuotaExceeded(std::string_view limit, uint64_t value, std::string_view what_to_do) {
  const std::string text =
      absl::StrCat("the daemon has reached its limit of ", value, " ", View(limit), "; ", View(what_to_do));
  return Error(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED", text)
      .With("limit", limit)
      .With("value", std::to_string(value))
      .Quota("daemon", text);
}

std::string ErrorReason(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  return Detach(status, info) ? info.reason() : std::string();
}

std::vector<FieldViolation> ErrorFields(const absl::Status& status) {
  google::rpc::BadRequest bad;
  std::vector<FieldViolation> violations;
  if (!Detach(status, bad)) return violations;
  for (const auto& violation : bad.field_violations()) {
    violations.push_back({violation.field(), violation.description()});
  }
  return violations;
}

}  // namespace kinsock
