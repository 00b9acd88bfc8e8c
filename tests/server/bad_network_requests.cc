// SPDX-License-Identifier: Apache-2.0
#include "tests/server/bad_network_requests.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "tests/server/request_call.h"
#include "tests/server/request_catalogue.h"

namespace kinsock::testing {
namespace {

using grpc::StatusCode;

class NetworkCatalogue : public RequestCatalogue<v1::NetworkService> {
 public:
  explicit NetworkCatalogue(const std::shared_ptr<grpc::Channel>& channel) : RequestCatalogue(channel) {
    AddNetworks();
    AddPolicies();
    AddTests();
    AddCids();
  }

 private:
  Send CreateNetwork(const std::function<void(v1::CreateNetworkRequest&)>& fill) {
    v1::CreateNetworkRequest request;
    request.set_network_id("new");
    fill(request);
    return Call(*stub_, &Stub::CreateNetwork, request);
  }
  Send UpdateNetwork(const std::function<void(v1::UpdateNetworkRequest&)>& fill) {
    v1::UpdateNetworkRequest request;
    request.mutable_network()->set_name("networks/default");
    fill(request);
    return Call(*stub_, &Stub::UpdateNetwork, request);
  }
  Send DeleteNetwork(const std::function<void(v1::DeleteNetworkRequest&)>& fill) {
    v1::DeleteNetworkRequest request;
    request.set_name("networks/default");
    fill(request);
    return Call(*stub_, &Stub::DeleteNetwork, request);
  }
  Send CreatePolicy(const std::function<void(v1::CreatePolicyRequest&)>& fill) {
    v1::CreatePolicyRequest request;
    request.set_parent("networks/default");
    request.set_policy_id("new");
    fill(request);
    return Call(*stub_, &Stub::CreatePolicy, request);
  }
  Send UpdatePolicy(const std::function<void(v1::UpdatePolicyRequest&)>& fill) {
    v1::UpdatePolicyRequest request;
    request.mutable_policy()->set_name("networks/default/policies/gone");
    fill(request);
    return Call(*stub_, &Stub::UpdatePolicy, request);
  }
  Send TestPolicy(const char* from, const char* to) {
    return Call(*stub_, &Stub::TestPolicy, With<v1::TestPolicyRequest>([&](auto& r) {
      r.set_from(from);
      r.set_to(to);
    }));
  }
  Send ReserveCid(const std::function<void(v1::ReserveCidRequest&)>& fill) {
    v1::ReserveCidRequest request;
    request.set_parent("networks/default");
    fill(request);
    return Call(*stub_, &Stub::ReserveCid, request);
  }

  void AddNetworks() {
    for (const char* id : {"", "Upper", "../default", "-a", "a-"}) {
      Invalid(absl::StrCat("CreateNetwork: the id \"", id, "\""),
              CreateNetwork([id](auto& r) { r.set_network_id(id); }), "network_id");
    }
    Invalid("CreateNetwork: a request_id of 100 KB",
            CreateNetwork([](auto& r) { r.set_request_id(std::string(100'000, 'x')); }), "request_id");
    Invalid("CreateNetwork: 2^32 CIDs", CreateNetwork([](auto& r) {
              r.mutable_network()->mutable_cid_range()->set_first(0);
              r.mutable_network()->mutable_cid_range()->set_last(UINT32_MAX);
            }),
            "network.cid_range.last");
    Invalid("CreateNetwork: a range that ends before it begins", CreateNetwork([](auto& r) {
              r.mutable_network()->mutable_cid_range()->set_first(9);
              r.mutable_network()->mutable_cid_range()->set_last(8);
            }),
            "network.cid_range");
    Invalid("CreateNetwork: 10,000 reserved ranges", CreateNetwork([](auto& r) {
              for (uint32_t i = 0; i < 10'000; ++i) {
                r.mutable_network()->add_reserved_ranges()->set_first(10 + i);
                r.mutable_network()->mutable_reserved_ranges()->rbegin()->set_last(10 + i);
              }
            }),
            "network.reserved_ranges");
    Invalid("CreateNetwork: a quarantine of ages",
            CreateNetwork([](auto& r) { r.mutable_network()->mutable_quarantine()->set_seconds(INT64_MAX); }),
            "network.quarantine");
    Invalid("CreateNetwork: no default", CreateNetwork([](auto& r) {
              r.mutable_network()->set_default_policy(static_cast<v1::Network::DefaultPolicy>(77));
            }),
            "network.default_policy");
    Invalid("CreateNetwork: a rate of 2^64-1", CreateNetwork([](auto& r) {
              r.mutable_network()->mutable_quota()->mutable_bytes_to_guest()->set_rate(UINT64_MAX);
            }),
            "network.quota.bytes_to_guest.rate");
    Add("CreateNetwork: a name that is taken", CreateNetwork([](auto& r) { r.set_network_id("default"); }),
        StatusCode::ALREADY_EXISTS, "NETWORK_EXISTS");

    for (const char* path : {"nosuch", "name", "cid_range.first", "vms", ""}) {
      Invalid(absl::StrCat("UpdateNetwork: the path \"", path, "\""),
              UpdateNetwork([path](auto& r) { r.mutable_update_mask()->add_paths(path); }), "update_mask");
    }
    Invalid("UpdateNetwork: none", UpdateNetwork([](auto& r) { r.mutable_network()->clear_name(); }), "network.name");
    Add("UpdateNetwork: one that is not there",
        UpdateNetwork([](auto& r) { r.mutable_network()->set_name("networks/gone"); }), StatusCode::NOT_FOUND,
        "NETWORK_NOT_FOUND");
    Add("UpdateNetwork: a stale etag", UpdateNetwork([](auto& r) { r.set_etag("stale"); }), StatusCode::ABORTED,
        "ETAG_MISMATCH");

    Add("DeleteNetwork: the one that is always there", DeleteNetwork([](auto&) {}), StatusCode::FAILED_PRECONDITION,
        "NETWORK_IN_USE");
    Add("DeleteNetwork: a stale etag", DeleteNetwork([](auto& r) { r.set_etag("stale"); }), StatusCode::ABORTED,
        "ETAG_MISMATCH");
    Add("DeleteNetwork: one that is not there", DeleteNetwork([](auto& r) { r.set_name("networks/gone"); }),
        StatusCode::NOT_FOUND, "NETWORK_NOT_FOUND");
    for (const char* name : {"", "default", "networks/", "networks/../default", "vms/default"}) {
      Invalid(absl::StrCat("DeleteNetwork: the name \"", name, "\""),
              DeleteNetwork([name](auto& r) { r.set_name(name); }), "name");
      Invalid(absl::StrCat("GetNetwork: the name \"", name, "\""),
              Call(*stub_, &Stub::GetNetwork, With<v1::GetNetworkRequest>([&](auto& r) { r.set_name(name); })), "name");
    }
    Add("GetNetwork: one that is not there",
        Call(*stub_, &Stub::GetNetwork, With<v1::GetNetworkRequest>([](auto& r) { r.set_name("networks/gone"); })),
        StatusCode::NOT_FOUND, "NETWORK_NOT_FOUND");
    Invalid("ListNetworks: a page token",
            Call(*stub_, &Stub::ListNetworks, With<v1::ListNetworksRequest>([](auto& r) { r.set_page_token("x"); })),
            "page_token");
    Invalid("ListNetworks: a negative page",
            Call(*stub_, &Stub::ListNetworks, With<v1::ListNetworksRequest>([](auto& r) { r.set_page_size(-1); })),
            "page_size");
  }

  void AddPolicies() {
    Invalid("CreatePolicy: nothing at all", Call(*stub_, &Stub::CreatePolicy, v1::CreatePolicyRequest()), "parent");
    Invalid("CreatePolicy: an id that is a path", CreatePolicy([](auto& r) { r.set_policy_id("../new"); }),
            "policy_id");
    Add("CreatePolicy: in a network that is not there", CreatePolicy([](auto& r) { r.set_parent("networks/gone"); }),
        StatusCode::NOT_FOUND, "NETWORK_NOT_FOUND");
    Invalid("CreatePolicy: a priority of 2^31-1",
            CreatePolicy([](auto& r) { r.mutable_policy()->set_priority(INT32_MAX); }), "policy.priority");
    Invalid("CreatePolicy: 10,000 labels", CreatePolicy([](auto& r) {
              auto& labels = *r.mutable_policy()->mutable_from()->mutable_labels();
              for (int i = 0; i < 10'000; ++i) labels[absl::StrCat("label-", i)] = "x";
            }),
            "policy.from.labels");
    Invalid("CreatePolicy: 10,000 groups", CreatePolicy([](auto& r) {
              for (int i = 0; i < 10'000; ++i) r.mutable_policy()->mutable_to()->add_groups(absl::StrCat("g", i));
            }),
            "policy.to.groups");
    Invalid("CreatePolicy: 10,000 ranges of ports", CreatePolicy([](auto& r) {
              for (uint32_t i = 1; i < 10'000; ++i) r.mutable_policy()->add_ports()->set_first(i);
            }),
            "policy.ports");
    Invalid("CreatePolicy: ports that end before they begin", CreatePolicy([](auto& r) {
              r.mutable_policy()->add_ports()->set_first(9);
              r.mutable_policy()->mutable_ports(0)->set_last(8);
            }),
            "policy.ports[0]");
    Invalid("CreatePolicy: from 2^32 CIDs", CreatePolicy([](auto& r) {
              r.mutable_policy()->mutable_from()->mutable_cid_range()->set_last(UINT32_MAX);
            }),
            "policy.from.cid_range.last");
    Invalid("CreatePolicy: from no VM",
            CreatePolicy([](auto& r) { r.mutable_policy()->mutable_from()->set_vm("there"); }), "policy.from.vm");
    Invalid("CreatePolicy: the host and somebody else", CreatePolicy([](auto& r) {
              r.mutable_policy()->mutable_to()->set_host(true);
              r.mutable_policy()->mutable_to()->set_vm("vms/there");
            }),
            "policy.to.host");
    Invalid("CreatePolicy: from the host to itself", CreatePolicy([](auto& r) {
              r.mutable_policy()->mutable_from()->set_host(true);
              r.mutable_policy()->mutable_to()->set_host(true);
            }),
            "policy.to.host");

    for (const char* path : {"nosuch", "name", "from.vm", "hits", ""}) {
      Invalid(absl::StrCat("UpdatePolicy: the path \"", path, "\""),
              UpdatePolicy([path](auto& r) { r.mutable_update_mask()->add_paths(path); }), "update_mask");
    }
    Add("UpdatePolicy: one that is not there", UpdatePolicy([](auto&) {}), StatusCode::NOT_FOUND, "POLICY_NOT_FOUND");
    for (const char* name : {"", "gone", "networks/default", "networks/default/policies/", "networks//policies/a"}) {
      const auto what = [&](const char* method) { return absl::StrCat(method, ": the name \"", name, "\""); };
      Invalid(what("UpdatePolicy"), UpdatePolicy([name](auto& r) { r.mutable_policy()->set_name(name); }),
              "policy.name");
      Invalid(what("GetPolicy"),
              Call(*stub_, &Stub::GetPolicy, With<v1::GetPolicyRequest>([&](auto& r) { r.set_name(name); })), "name");
      Invalid(what("DeletePolicy"),
              Call(*stub_, &Stub::DeletePolicy, With<v1::DeletePolicyRequest>([&](auto& r) { r.set_name(name); })),
              "name");
    }
    const auto gone = [](auto request) {
      request.set_name("networks/default/policies/gone");
      return request;
    };
    Add("GetPolicy: one that is not there", Call(*stub_, &Stub::GetPolicy, gone(v1::GetPolicyRequest())),
        StatusCode::NOT_FOUND, "POLICY_NOT_FOUND");
    Add("DeletePolicy: likewise", Call(*stub_, &Stub::DeletePolicy, gone(v1::DeletePolicyRequest())),
        StatusCode::NOT_FOUND, "POLICY_NOT_FOUND");
    const auto list = [&](const std::function<void(v1::ListPoliciesRequest&)>& fill) {
      return Call(*stub_, &Stub::ListPolicies, With<v1::ListPoliciesRequest>(fill));
    };
    Invalid("ListPolicies: of nothing", list([](auto&) {}), "parent");
    Invalid("ListPolicies: a page token", list([](auto& r) {
              r.set_parent("networks/default");
              r.set_page_token("x");
            }),
            "page_token");
  }

  void AddTests() {
    Invalid("TestPolicy: from nobody", TestPolicy("", "vms/there"), "from");
    Invalid("TestPolicy: to nobody", TestPolicy("vms/there", "there"), "to");
    Invalid("TestPolicy: the host alone", TestPolicy("host", "host"), "to");
    Add("TestPolicy: a VM that is not there", TestPolicy("vms/gone", "vms/there"), StatusCode::NOT_FOUND,
        "VM_NOT_FOUND");
  }

  void AddCids() {
    Invalid("ReserveCid: nowhere", ReserveCid([](auto& r) { r.clear_parent(); }), "parent");
    Add("ReserveCid: in a network that is not there", ReserveCid([](auto& r) { r.set_parent("networks/gone"); }),
        StatusCode::NOT_FOUND, "NETWORK_NOT_FOUND");
    Invalid("ReserveCid: 2^32 of them", ReserveCid([](auto& r) {
              r.mutable_cid()->mutable_range()->set_first(0);
              r.mutable_cid()->mutable_range()->set_last(UINT32_MAX);
            }),
            "cid.range.last");
    Invalid("ReserveCid: that of the host", ReserveCid([](auto& r) { r.mutable_cid()->set_static_cid(2); }),
            "cid.static_cid");
    Invalid("ReserveCid: by a reservation",
            ReserveCid([](auto& r) { r.mutable_cid()->set_reservation("networks/default/cids/9"); }),
            "cid.reservation");
    Add("ReserveCid: one that is taken", ReserveCid([](auto& r) { r.mutable_cid()->set_static_cid(50); }),
        StatusCode::ALREADY_EXISTS, "CID_IN_USE");
    Invalid("ReserveCid: for ages", ReserveCid([](auto& r) { r.mutable_ttl()->set_seconds(INT64_MAX); }), "ttl");
    Invalid("ReserveCid: for no time", ReserveCid([](auto& r) { r.mutable_ttl()->set_seconds(0); }), "ttl");
    Invalid("ReserveCid: a holder of 10 KB", ReserveCid([](auto& r) { r.set_holder(std::string(10'000, 'x')); }),
            "holder");
    Invalid("ReserveCid: a request_id of 100 KB",
            ReserveCid([](auto& r) { r.set_request_id(std::string(100'000, 'x')); }), "request_id");
    const auto release = [&](const char* name) {
      return Call(*stub_, &Stub::ReleaseCid, With<v1::ReleaseCidRequest>([&](auto& r) { r.set_name(name); }));
    };
    for (const char* name : {"", "50", "networks/default/cids/", "networks/default/cids/4294967296",
                             "networks/default/cids/-1", "networks/default/cids/50 "}) {
      Invalid(absl::StrCat("ReleaseCid: the name \"", name, "\""), release(name), "name");
    }
    Add("ReleaseCid: that of a VM", release("networks/default/cids/50"), StatusCode::FAILED_PRECONDITION, "CID_IN_USE");
    Add("ReleaseCid: one that is free", release("networks/default/cids/4000"), StatusCode::NOT_FOUND, "CID_NOT_FOUND");
    Invalid("ListCids: of nothing", Call(*stub_, &Stub::ListCids, v1::ListCidsRequest()), "parent");
    Invalid("ListCids: a page token", Call(*stub_, &Stub::ListCids, With<v1::ListCidsRequest>([](auto& r) {
              r.set_parent("networks/default");
              r.set_page_token("x");
            })),
            "page_token");
  }
};

}  // namespace

std::vector<BadRequest> BadNetworkRequests(std::shared_ptr<grpc::Channel> channel) {
  return NetworkCatalogue(channel).Take();
}

}  // namespace kinsock::testing
