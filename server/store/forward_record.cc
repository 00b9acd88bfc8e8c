// SPDX-License-Identifier: Apache-2.0
#include "server/store/forward_record.h"

#include <memory>
#include <utility>

#include "server/convert/forward_conversion.h"
#include "server/convert/resource_name.h"
#include "server/model/forward_validation.h"
#include "server/store/definition_record.h"

namespace kinsock {

std::string ToRecord(const ForwardDefinition& forward) {
  v1::Forward message = ToProto(ForwardSnapshot{.definition = std::make_shared<const ForwardDefinition>(forward)});
  message.clear_etag();
  message.clear_managed_by();
  message.clear_status();
  return message.SerializeAsString();
}

absl::StatusOr<ForwardDefinitionPtr> ForwardFromRecord(std::string_view record) {
  v1::Forward message;
  if (!message.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    return absl::DataLossError("is not a forward");
  }
  const auto id = ParseForwardName(message.name());
  if (!id.has_value()) return absl::DataLossError("lacks a name");
  auto definition = std::make_shared<ForwardDefinition>();
  definition->spec = ToForwardSpec(message);
  ForwardSpec without_access = definition->spec;
  without_access.access.reset();
  if (!CheckForward(without_access).empty()) return absl::DataLossError("says what no forward can be");
  if (absl::Status fault = FillBase(message, *definition); !fault.ok()) return fault;
  definition->id = *id;
  return ForwardDefinitionPtr(std::move(definition));
}

}  // namespace kinsock
