// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STATUS_ERROR_H_
#define KINSOCK_SERVER_STATUS_ERROR_H_

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace kinsock {

// One bad field of a request or a configuration: its path, what is wrong, and what would be right.
struct FieldViolation {
  std::string field;
  std::string description;
};

// Builds an absl::Status that carries what an API client may know of an error (AIP-193): a stable reason, metadata
// and details. They travel as payloads of the status, under the type URL of the google.rpc message that each of
// them is, so that nothing between here and status_conversion needs to know them.
//
//     return Error(absl::StatusCode::kAlreadyExists, "CID_IN_USE", "CID 3 belongs to vms/a").With("cid", "3");
class Error {
 public:
  // `reason` is UPPER_SNAKE_CASE, at most 63 characters, and never changes; `message` says for a person which
  // field or object, what is wrong, and what to do.
  Error(absl::StatusCode code, std::string_view reason, std::string_view message);

  // Metadata of the reason.
  Error& With(std::string_view key, std::string_view value);
  // google.rpc.ResourceInfo: which object the error is about, for example ("kinsock.v1.Vm", "vms/a").
  Error& Resource(std::string_view type, std::string_view name);
  // google.rpc.RetryInfo.
  Error& RetryAfter(std::chrono::milliseconds delay);
  // google.rpc.PreconditionFailure: one violation more with each call.
  Error& Precondition(std::string_view type, std::string_view subject, std::string_view what_to_do);
  // google.rpc.QuotaFailure with one violation.
  Error& Quota(std::string_view subject, std::string_view description);

  operator absl::Status() const;  // NOLINT(google-explicit-constructor): `return Error(...)` is the point

 private:
  absl::Status status_;
  std::string reason_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

// INVALID_ARGUMENT FIELD_INVALID with a google.rpc.BadRequest of all `violations` (at least one). `subject` opens
// the message, for example `vm "web-1"`; it may be empty.
absl::Status FieldsInvalid(std::string_view subject, const std::vector<FieldViolation>& violations);

// RESOURCE_EXHAUSTED QUOTA_EXCEEDED: a bound of the daemon was reached.
absl::Status QuotaExceeded(std::string_view limit, uint64_t value, std::string_view what_to_do);

// The reason that an Error put into `status`; empty if there is none.
std::string ErrorReason(const absl::Status& status);

// The fields that FieldsInvalid() put into `status`; empty if there are none.
std::vector<FieldViolation> ErrorFields(const absl::Status& status);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STATUS_ERROR_H_
