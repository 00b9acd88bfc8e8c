// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_MANIFEST_APPLY_CALLS_H_
#define KINSOCK_CLI_MANIFEST_APPLY_CALLS_H_

#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "cli/call/client.h"
#include "server/convert/network_conversion.h"

namespace kinsock {

// How one kind of object that the API has no "apply" for is asked about, made and changed. What each kind has:
//
//     Get, Create, Update   the call
//     Parent                the name of what it is in or of; empty: of nothing
//     Spec                  what of it somebody has said, with its defaults, to be compared

inline std::string LastOf(const std::string& name) { return name.substr(name.rfind('/') + 1); }

struct NetworkCalls {
  using Message = v1::Network;

  static grpc::Status Get(Client& client, grpc::ClientContext& context, const std::string& name, Message& out) {
    v1::GetNetworkRequest request;
    request.set_name(name);
    return client.networks().GetNetwork(&context, request, &out);
  }
  static grpc::Status Create(Client& client, grpc::ClientContext& context, const Message& wanted, bool dry_run,
                             Message& out) {
    v1::CreateNetworkRequest request;
    request.set_network_id(LastOf(wanted.name()));
    *request.mutable_network() = wanted;
    request.set_validate_only(dry_run);
    return client.networks().CreateNetwork(&context, request, &out);
  }
  static grpc::Status Update(Client& client, grpc::ClientContext& context, const Message& wanted, bool dry_run,
                             Message& out) {
    v1::UpdateNetworkRequest request;
    *request.mutable_network() = wanted;
    request.mutable_update_mask()->add_paths("*");
    request.set_validate_only(dry_run);
    return client.networks().UpdateNetwork(&context, request, &out);
  }
  static std::string Parent(const Message&) { return ""; }
  static Message Spec(const Message& message) {
    const absl::StatusOr<NetworkSpec> spec = ToNetworkSpec(message);
    if (!spec.ok()) return message;
    auto definition = std::make_shared<NetworkDefinition>();
    definition->spec = *spec;
    return ToProto(NetworkSnapshot{.definition = std::move(definition)});
  }
};

struct PolicyCalls {
  using Message = v1::Policy;

  static grpc::Status Get(Client& client, grpc::ClientContext& context, const std::string& name, Message& out) {
    v1::GetPolicyRequest request;
    request.set_name(name);
    return client.networks().GetPolicy(&context, request, &out);
  }
  static grpc::Status Create(Client& client, grpc::ClientContext& context, const Message& wanted, bool dry_run,
                             Message& out) {
    v1::CreatePolicyRequest request;
    request.set_parent(Parent(wanted));
    request.set_policy_id(LastOf(wanted.name()));
    *request.mutable_policy() = wanted;
    request.set_validate_only(dry_run);
    return client.networks().CreatePolicy(&context, request, &out);
  }
  static grpc::Status Update(Client& client, grpc::ClientContext& context, const Message& wanted, bool dry_run,
                             Message& out) {
    v1::UpdatePolicyRequest request;
    *request.mutable_policy() = wanted;
    request.mutable_update_mask()->add_paths("*");
    request.set_validate_only(dry_run);
    return client.networks().UpdatePolicy(&context, request, &out);
  }
  static std::string Parent(const Message& policy) { return policy.name().substr(0, policy.name().find("/policies/")); }
  static Message Spec(const Message& message) {
    const absl::StatusOr<PolicySpec> spec = ToPolicySpec(message);
    if (!spec.ok()) return message;
    PolicyDefinition definition;
    definition.spec = *spec;
    return ToProto(definition);
  }
};

struct ForwardCalls {
  using Message = v1::Forward;

  static grpc::Status Get(Client& client, grpc::ClientContext& context, const std::string& name, Message& out) {
    v1::GetForwardRequest request;
    request.set_name(name);
    return client.forwards().GetForward(&context, request, &out);
  }
  static grpc::Status Create(Client& client, grpc::ClientContext& context, const Message& wanted, bool dry_run,
                             Message& out) {
    v1::CreateForwardRequest request;
    request.set_forward_id(LastOf(wanted.name()));
    *request.mutable_forward() = wanted;
    request.set_validate_only(dry_run);
    return client.forwards().CreateForward(&context, request, &out);
  }
  static grpc::Status Update(Client& client, grpc::ClientContext& context, const Message& wanted, bool dry_run,
                             Message& out) {
    v1::UpdateForwardRequest request;
    *request.mutable_forward() = wanted;
    request.mutable_update_mask()->add_paths("*");
    request.set_validate_only(dry_run);
    return client.forwards().UpdateForward(&context, request, &out);
  }
  static std::string Parent(const Message& forward) { return forward.vm(); }
  static Message Spec(const Message& message) {
    Message spec;
    spec.set_vm(message.vm());
    spec.set_guest_port(message.guest_port());
    spec.set_listen(message.listen());
    spec.set_target(message.target());
    if (message.has_socket_access()) *spec.mutable_socket_access() = message.socket_access();
    spec.set_send_proxy_v2(message.send_proxy_v2());
    return spec;
  }
};

// Whether the daemon has what is wanted already.
template <typename Calls>
bool IsSame(const typename Calls::Message& wanted, const typename Calls::Message& there) {
  return google::protobuf::util::MessageDifferencer::Equivalent(Calls::Spec(wanted), Calls::Spec(there));
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_MANIFEST_APPLY_CALLS_H_
