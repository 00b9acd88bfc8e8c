// SPDX-License-Identifier: Apache-2.0
#include "server/network_record.h"

#include <chrono>
#include <memory>
#include <utility>

#include "server/network_conversion.h"
#include "server/network_validation.h"

namespace kinsock {
namespace {

template <typename Message>
absl::Status FillBase(const Message& message, DefinitionBase& base) {
  if (message.uid().empty() || message.generation() < 1) return absl::DataLossError("lacks uid or generation");
  base.uid = message.uid();
  base.generation = message.generation();
  base.create_time =
      std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(message.create_time().seconds()) +
          std::chrono::nanoseconds(message.create_time().nanos())));
  return absl::OkStatus();
}

}  // namespace

std::string ToRecord(const NetworkDefinition& network) {
  v1::Network message = ToProto(NetworkSnapshot{.definition = std::make_shared<const NetworkDefinition>(network)});
  message.clear_etag();
  return message.SerializeAsString();
}

std::string ToRecord(const PolicyDefinition& policy) {
  v1::Policy message = ToProto(policy);
  message.clear_etag();
  message.clear_hits();
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
