// SPDX-License-Identifier: Apache-2.0
#include "server/store/network_record.h"

#include <memory>
#include <utility>

#include "server/convert/network_conversion.h"
#include "server/model/network_validation.h"
#include "server/store/definition_record.h"

namespace kinsock {
std::string ToRecord(const NetworkDefinition& network) {
  v1::Network message = ToProto(NetworkSnapshot{.definition = std::make_shared<const NetworkDefinition>(network)});
  message.clear_etag();
  message.clear_managed_by();
  return message.SerializeAsString();
}

std::string ToRecord(const PolicyDefinition& policy) {
  v1::Policy message = ToProto(policy);
  message.clear_etag();
  message.clear_hits();
  message.clear_managed_by();
  return message.SerializeAsString();
}

absl::StatusOr<NetworkDefinitionPtr> NetworkFromRecord(std::string_view record) {
  v1::Network message;
  if (!message.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    return absl::DataLossError("is not a network");
  }
  const auto id = ParseNetworkName(message.name());
  if (!id.has_value()) return absl::DataLossError("lacks a name");
  absl::StatusOr<NetworkSpec> spec = ToNetworkSpec(message);
  if (!spec.ok() || !CheckNetwork(*spec).empty()) return absl::DataLossError("says what no network can be");
  auto definition = std::make_shared<NetworkDefinition>();
  if (absl::Status fault = FillBase(message, *definition); !fault.ok()) return fault;
  definition->id = *id;
  definition->spec = *std::move(spec);
  return NetworkDefinitionPtr(std::move(definition));
}

absl::StatusOr<PolicyDefinitionPtr> PolicyFromRecord(std::string_view record) {
  v1::Policy message;
  if (!message.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    return absl::DataLossError("is not a policy");
  }
  const auto name = ParsePolicyName(message.name());
  if (!name.has_value()) return absl::DataLossError("lacks a name");
  absl::StatusOr<PolicySpec> spec = ToPolicySpec(message);
  if (!spec.ok() || !CheckPolicy(*spec).empty()) return absl::DataLossError("says what no policy can be");
  auto definition = std::make_shared<PolicyDefinition>();
  if (absl::Status fault = FillBase(message, *definition); !fault.ok()) return fault;
  definition->network = name->first;
  definition->id = name->second;
  definition->spec = *std::move(spec);
  return PolicyDefinitionPtr(std::move(definition));
}

}  // namespace kinsock
