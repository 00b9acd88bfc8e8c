// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_KILL_NETWORK_CLIENT_H_
#define KINSOCK_TESTS_SERVER_KILL_NETWORK_CLIENT_H_

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "tests/server/daemon_process.h"
#include "tests/server/running_daemon.h"

namespace kinsock::testing {

// One client with networks, policies and reservations of its own. What each is, in one text; empty: it is not there.
class KilledNetworkClient {
 public:
  explicit KilledNetworkClient(uint64_t seed) : random_(seed) {
    for (int i = 0; i < kOfEach; ++i) {
      known_[absl::StrCat("networks/k-", i)] = "";
      known_[absl::StrCat("networks/default/policies/k-", i)] = "";
      known_[absl::StrCat("networks/default/cids/", kFirstCid + i)] = "";
    }
  }

  // Calls until a call is not answered.
  void Run(DaemonProcess& daemon) {
    const auto stub = v1::NetworkService::NewStub(daemon.channel());
    unsure_.clear();
    while (unsure_.empty()) {
      auto object = known_.begin();
      std::advance(object, random_() % known_.size());
      const std::string& name = object->first;
      if (name.find("/policies/") != std::string::npos) {
        ChangePolicy(*stub, name);
      } else if (name.find("/cids/") != std::string::npos) {
        ChangeReservation(*stub, name);
      } else {
        ChangeNetwork(*stub, name);
      }
    }
  }

  // What there is after a start, against what was answered before.
  void Compare(DaemonProcess& daemon) {
    std::map<std::string, std::string> found;
    ASSERT_TRUE(Find(daemon, found));
    for (auto& [name, state] : known_) {
      SCOPED_TRACE(name);
      const std::string& is = found[name];
      EXPECT_TRUE(is == state || (name == unsure_ && is == may_be_)) << "is \"" << is << "\", was \"" << state << "\"";
      state = is;
    }
  }

  int answers() const { return answers_; }

 private:
  static constexpr int kOfEach = 6;
  static constexpr int kFirstCid = 200;

  static std::string LastPart(const std::string& name) { return name.substr(name.rfind('/') + 1); }

  bool Find(DaemonProcess& daemon, std::map<std::string, std::string>& found) {
    const auto stub = v1::NetworkService::NewStub(daemon.channel());
    grpc::ClientContext contexts[3];
    for (grpc::ClientContext& context : contexts) SetDeadline(context);
    v1::ListNetworksResponse networks;
    v1::ListPoliciesRequest list_policies;
    list_policies.set_parent("networks/default");
    v1::ListPoliciesResponse policies;
    v1::ListCidsRequest list_cids;
    list_cids.set_parent("networks/default");
    list_cids.set_page_size(1000);
    v1::ListCidsResponse cids;
    if (!stub->ListNetworks(&contexts[0], {}, &networks).ok()) return false;
    if (!stub->ListPolicies(&contexts[1], list_policies, &policies).ok()) return false;
    if (!stub->ListCids(&contexts[2], list_cids, &cids).ok()) return false;
    for (const v1::Network& network : networks.networks()) {
      found[network.name()] = absl::StrCat(network.quarantine().seconds());
    }
    for (const v1::Policy& policy : policies.policies()) found[policy.name()] = absl::StrCat(policy.priority());
    for (const v1::CidLease& cid : cids.cids()) {
      if (cid.state() == v1::CidLease::RESERVED) found[cid.name()] = cid.holder();
    }
    return true;
  }

  // The object is to become `after`.
  template <typename Request, typename Response>
  void Call(v1::NetworkService::Stub& stub,
            grpc::Status (v1::NetworkService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
            const Request& request, const std::string& name, const std::string& after) {
    grpc::ClientContext context;
    SetDeadline(context);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok() && Reason(status).empty()) {
      unsure_ = name;
      may_be_ = after;
      return;
    }
    ++answers_;
    EXPECT_TRUE(status.ok()) << name << ": " << status.error_message();
    known_[name] = after;
  }

  void ChangeNetwork(v1::NetworkService::Stub& stub, const std::string& name) {
    using Stub = v1::NetworkService::Stub;
    const auto seconds = static_cast<int64_t>(1 + random_() % 1000);
    if (known_[name].empty()) {
      v1::CreateNetworkRequest request;
      request.set_network_id(LastPart(name));
      request.mutable_network()->mutable_quarantine()->set_seconds(seconds);
      return Call(stub, &Stub::CreateNetwork, request, name, absl::StrCat(seconds));
    }
    if (random_() % 2 == 0) {
      v1::UpdateNetworkRequest request;
      request.mutable_network()->set_name(name);
      request.mutable_network()->mutable_quarantine()->set_seconds(seconds);
      request.mutable_update_mask()->add_paths("quarantine");
      return Call(stub, &Stub::UpdateNetwork, request, name, absl::StrCat(seconds));
    }
    v1::DeleteNetworkRequest request;
    request.set_name(name);
    Call(stub, &Stub::DeleteNetwork, request, name, "");
  }

  void ChangePolicy(v1::NetworkService::Stub& stub, const std::string& name) {
    using Stub = v1::NetworkService::Stub;
    const auto priority = static_cast<int32_t>(random_() % 1000);
    if (known_[name].empty()) {
      v1::CreatePolicyRequest request;
      request.set_parent("networks/default");
      request.set_policy_id(LastPart(name));
      request.mutable_policy()->set_priority(priority);
      return Call(stub, &Stub::CreatePolicy, request, name, absl::StrCat(priority));
    }
    if (random_() % 2 == 0) {
      v1::UpdatePolicyRequest request;
      request.mutable_policy()->set_name(name);
      request.mutable_policy()->set_priority(priority);
      request.mutable_update_mask()->add_paths("priority");
      return Call(stub, &Stub::UpdatePolicy, request, name, absl::StrCat(priority));
    }
    v1::DeletePolicyRequest request;
    request.set_name(name);
    Call(stub, &Stub::DeletePolicy, request, name, "");
  }

  void ChangeReservation(v1::NetworkService::Stub& stub, const std::string& name) {
    using Stub = v1::NetworkService::Stub;
    if (known_[name].empty()) {
      v1::ReserveCidRequest request;
      request.set_parent("networks/default");
      request.mutable_cid()->set_static_cid(static_cast<uint32_t>(std::stoul(LastPart(name))));
      request.set_holder(absl::StrCat("round ", random_()));
      return Call(stub, &Stub::ReserveCid, request, name, request.holder());
    }
    v1::ReleaseCidRequest request;
    request.set_name(name);
    Call(stub, &Stub::ReleaseCid, request, name, "");
  }

  std::mt19937_64 random_;
  std::map<std::string, std::string> known_;
  std::string unsure_;  // which it was that was not answered about
  std::string may_be_;  // and what that is, if it happened
  int answers_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_KILL_NETWORK_CLIENT_H_
