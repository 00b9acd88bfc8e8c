// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_DEFINITIONS_H_
#define KINSOCK_SERVER_MANAGER_DEFINITIONS_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/unique_id.h"
#include "server/model/network.h"
#include "server/model/network_validation.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {

// What those who keep definitions (DefinitionBase) have in common: how one is made, and why one is not made or changed.

template <typename Definition>
std::shared_ptr<Definition> Define(const MutationRequest& request) {
  auto definition = std::make_shared<Definition>();
  definition->id = request.id;
  if (!request.validate_only) definition->uid = RandomUuid();
  definition->create_time = std::chrono::system_clock::now();
  definition->configured = request.configured;
  return definition;
}

inline absl::Status DefinitionNotFound(const char* reason, const char* type, const std::string& name) {
  return Error(absl::StatusCode::kNotFound, reason, absl::StrCat("there is no ", name)).Resource(type, name);
}

template <typename Definition>
absl::Status DefinitionExists(const char* reason, const char* type, const Definition& definition) {
  return Error(absl::StatusCode::kAlreadyExists, reason,
               absl::StrCat(definition.name(), " exists; choose another name, or change that one"))
      .Resource(type, definition.name());
}

// What speaks against changing `definition` by `request`.
template <typename Definition>
absl::Status CheckChange(const Definition& definition, const MutationRequest& request) {
  if (definition.configured != request.configured && definition.configured) {
    return Error(absl::StatusCode::kFailedPrecondition, "MANAGED_BY_FILE",
                 absl::StrCat(definition.name(), " is said by the configuration file; change it there"))
        .Precondition("MANAGED_BY_FILE", definition.name(), "change the configuration file");
  }
  if (!request.etag.empty() && request.etag != definition.etag()) {
    return Error(absl::StatusCode::kAborted, "ETAG_MISMATCH",
                 absl::StrCat(definition.name(), " has changed since it was read; read it again"))
        .With("current", definition.etag());
  }
  return absl::OkStatus();
}

inline absl::Status ConcurrentChange(const std::string& name) {
  return Error(absl::StatusCode::kAborted, "CONCURRENT_CHANGE",
               absl::StrCat(name, " is being changed by somebody else at this moment; try again"))
      .RetryAfter(std::chrono::milliseconds(10));
}

// What is wrong with the ids of a creation; `id_field`: "network_id".
inline std::vector<FieldViolation> CheckIds(const MutationRequest& request, const char* id_field) {
  std::vector<FieldViolation> violations;
  CheckId(request.id, id_field, violations);
  CheckRequestId(request.request_id, violations);
  return violations;
}

inline void Append(std::vector<FieldViolation> more, std::vector<FieldViolation>& violations) {
  for (FieldViolation& violation : more) violations.push_back(std::move(violation));
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_DEFINITIONS_H_
