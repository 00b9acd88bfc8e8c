// SPDX-License-Identifier: Apache-2.0
//
// Clients create, change, move and delete VMs, networks, policies, reservations and forwards as fast as they can while
// kinsockd is killed, over and over. Whatever was answered is there after each start, and no CID belongs to two VMs,
// nor too soon to another.
//
// KINSOCK_KILL_ROUNDS: how often it is killed (20). KINSOCK_KILL_SEED: of the random choices (of the clock).
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "base/mutex.h"
#include "server/manager/cid_allocator.h"
#include "tests/server/daemon_process.h"
#include "tests/server/forward_client.h"
#include "tests/server/running_daemon.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using std::chrono::steady_clock;
using testing::DaemonProcess;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What is known of a VM by what was answered.
struct Known {
  std::string uid;  // empty: there is none
  uint32_t cid = 0;
  std::string label;
};

// A call that was not answered: it has happened, or it has not.
enum class Unanswered { kNone, kCreation, kUpdate, kMove, kDeletion };

// Which VM had a CID last.
class CidLedger {
 public:
  // `name` was seen with the CID; false when another had it a moment ago.
  bool Use(uint32_t cid, const std::string& name) {
    MutexLock lock(mutex_);
    const auto now = steady_clock::now();
    const auto [entry, is_new] = uses_.try_emplace(cid, Entry{name, now});
    // Its rest began after it was last seen, so that is a bit too early: never too strict.
    const bool good = is_new || entry->second.name == name || now - entry->second.last_seen >= CidAllocator::kRest;
    entry->second = {name, now};
    return good;
  }

 private:
  struct Entry {
    std::string name;
    steady_clock::time_point last_seen;
  };
  Mutex mutex_;
  std::map<uint32_t, Entry> uses_ ABSL_GUARDED_BY(mutex_);
};

// One client with VMs of its own; only the CIDs that it asks for are shared with others.
class Client {
 public:
  Client(int number, CidLedger& ledger, uint64_t seed) : ledger_(ledger), random_(seed) {
    for (int i = 0; i < kVms; ++i) vms_[absl::StrCat("c", number, "-", i)];
  }

  // Calls until a call is not answered.
  void Run(DaemonProcess& daemon) {
    unanswered_ = Unanswered::kNone;
    while (unanswered_ == Unanswered::kNone) {
      auto vm = vms_.begin();
      std::advance(vm, Random(kVms));
      current_ = vm->first;
      if (vm->second.uid.empty()) {
        Create(daemon, vm->second);
      } else if (Random(2) == 0) {
        Update(daemon, vm->second);
      } else if (Random(2) == 0) {
        Move(daemon, vm->second);
      } else {
        Delete(daemon, vm->second);
      }
    }
  }

  // What there is after a start, against what was answered before.
  void Compare(const std::map<std::string, v1::Vm>& listed) {
    for (auto& [name, known] : vms_) {
      SCOPED_TRACE(name);
      const auto found = listed.find(name);
      const Unanswered call = name == current_ ? unanswered_ : Unanswered::kNone;
      if (found == listed.end()) {
        if (!known.uid.empty()) EXPECT_EQ(call, Unanswered::kDeletion) << "an answered creation is lost";
        known = {};
        continue;
      }
      const v1::Vm& vm = found->second;
      if (known.uid.empty()) {
        EXPECT_EQ(call, Unanswered::kCreation) << "an answered deletion is lost";
      } else {
        EXPECT_EQ(vm.uid(), known.uid);
        if (call != Unanswered::kMove) EXPECT_EQ(vm.status().cid(), known.cid) << "an answered move is lost";
        if (call != Unanswered::kUpdate) EXPECT_EQ(Label(vm), known.label) << "an answered update is lost";
      }
      EXPECT_EQ(vm.status().state(), v1::VmStatus::LISTENING);
      Learn(vm, known);
    }
  }

  int answers() const { return answers_; }

 private:
  static constexpr int kVms = 8;
  // CIDs that clients fight about, besides those that the daemon chooses.
  static constexpr uint32_t kFirstContested = 100;
  static constexpr int kContested = 12;

  static std::string Label(const v1::Vm& vm) {
    const auto label = vm.labels().find("round");
    return label == vm.labels().end() ? "" : label->second;
  }

  int Random(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }

  void Learn(const v1::Vm& vm, Known& known) {
    known = {vm.uid(), vm.status().cid(), Label(vm)};
    EXPECT_TRUE(ledger_.Use(known.cid, vm.name())) << "CID " << known.cid << " was another's a moment ago";
  }

  // Whether the daemon said yes. If it said nothing, `call` is what is not known.
  bool Answered(const grpc::Status& status, Unanswered call) {
    if (!status.ok() && testing::Reason(status).empty()) {
      unanswered_ = call;
      return false;
    }
    ++answers_;
    return status.ok();
  }

  void Create(DaemonProcess& daemon, Known& known) {
    const uint32_t cid = Random(4) == 0 ? kFirstContested + static_cast<uint32_t>(Random(kContested)) : 0;
    v1::Vm vm;
    const grpc::Status status = daemon.Create(current_, cid, &vm);
    if (Answered(status, Unanswered::kCreation)) return Learn(vm, known);
    const std::string reason = testing::Reason(status);
    if (!reason.empty()) EXPECT_TRUE(reason == "CID_IN_USE" || reason == "CID_QUARANTINED") << reason;
  }

  void Update(DaemonProcess& daemon, Known& known) {
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/" + current_);
    (*request.mutable_vm()->mutable_labels())["round"] = absl::StrCat(random_());
    request.mutable_update_mask()->add_paths("labels");
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::Vm vm;
    const grpc::Status status = daemon.vms().UpdateVm(&context, request, &vm);
    if (!Answered(status, Unanswered::kUpdate)) {
      EXPECT_TRUE(unanswered_ != Unanswered::kNone) << status.error_message();
      return;
    }
    EXPECT_EQ(vm.uid(), known.uid);
    Learn(vm, known);
  }

  // Another CID for it.
  void Move(DaemonProcess& daemon, Known& known) {
    v1::ResetVmRequest request;
    request.set_name("vms/" + current_);
    v1::CidRequest& cid = *request.mutable_new_cid();
    if (Random(4) == 0) {
      cid.set_static_cid(kFirstContested + static_cast<uint32_t>(Random(kContested)));
    } else {
      cid.set_automatic(true);
    }
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::Vm vm;
    const grpc::Status status = daemon.vms().ResetVm(&context, request, &vm);
    if (Answered(status, Unanswered::kMove)) {
      EXPECT_EQ(vm.uid(), known.uid);
      return Learn(vm, known);
    }
    const std::string reason = testing::Reason(status);
    if (!reason.empty()) EXPECT_TRUE(reason == "CID_IN_USE" || reason == "CID_QUARANTINED") << reason;
  }

  void Delete(DaemonProcess& daemon, Known& known) {
    const grpc::Status status = daemon.Delete(current_);
    if (Answered(status, Unanswered::kDeletion)) {
      known = {};
      return;
    }
    EXPECT_TRUE(unanswered_ != Unanswered::kNone) << status.error_message();
  }

  CidLedger& ledger_;
  std::mt19937_64 random_;
  std::map<std::string, Known> vms_;
  std::string current_;
  Unanswered unanswered_ = Unanswered::kNone;
  int answers_ = 0;
};

// One client with networks, policies and reservations of its own. What each is, in one text; empty: it is not there.
class NetworkClient {
 public:
  explicit NetworkClient(uint64_t seed) : random_(seed) {
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
    for (grpc::ClientContext& context : contexts) testing::SetDeadline(context);
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
    testing::SetDeadline(context);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok() && testing::Reason(status).empty()) {
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

// One client with forwards of a VM of its own, each at its own path. What each is, in one text; empty: it is not there.
class ForwardsClient {
 public:
  ForwardsClient(const DaemonProcess& daemon, uint64_t seed) : directory_(daemon / "f"), random_(seed) {
    for (int i = 0; i < kForwards; ++i) known_[absl::StrCat("f-", i)] = "";
  }

  // Calls until a call is not answered.
  void Run(DaemonProcess& daemon) {
    const auto stub = v1::ForwardService::NewStub(daemon.channel());
    testing::ForwardClient client(*stub);
    unsure_.clear();
    // The VM goes now and then, and takes its forwards with it.
    while (unsure_.empty()) {
      if (!has_vm_) {
        if (!Note(daemon.Create(kVm), "vm", "")) return;
        has_vm_ = true;
      }
      auto forward = known_.begin();
      std::advance(forward, random_() % known_.size());
      const std::string id = forward->first;
      const auto port = static_cast<uint32_t>(1 + random_() % 1000);
      if (random_() % 32 == 0) {
        if (!Note(daemon.Delete(kVm), "vm", "")) return;
        has_vm_ = false;
        for (auto& [each, state] : known_) state.clear();
      } else if (forward->second.empty()) {
        Note(client.Create(testing::ForwardClient::ToGuest(id, kVm, port, Address(id))), id, absl::StrCat(port));
      } else if (random_() % 2 == 0) {
        v1::UpdateForwardRequest request;
        request.mutable_forward()->set_name("forwards/" + id);
        request.mutable_forward()->set_guest_port(port);
        request.mutable_update_mask()->add_paths("guest_port");
        Note(client.Update(request), id, absl::StrCat(port));
      } else {
        Note(client.Delete(id), id, "");
      }
    }
  }

  // What there is after a start, against what was answered before.
  void Compare(DaemonProcess& daemon, bool has_vm) {
    const auto stub = v1::ForwardService::NewStub(daemon.channel());
    testing::ForwardClient client(*stub);
    EXPECT_TRUE(has_vm == has_vm_ || unsure_ == "vm");
    // Both or neither: they go in one entry.
    const bool gone = has_vm_ && !has_vm;
    has_vm_ = has_vm;
    for (auto& [id, state] : known_) {
      SCOPED_TRACE(id);
      v1::Forward forward;
      const bool found = client.Get(id, &forward).ok();
      const std::string is = found ? absl::StrCat(forward.guest_port()) : "";
      const std::string was = gone ? "" : state;
      EXPECT_TRUE(is == was || (id == unsure_ && is == may_be_)) << "is \"" << is << "\", was \"" << was << "\"";
      EXPECT_EQ(forward.status().error(), "");
      EXPECT_EQ(testing::TryConnect(testing::NewUnixSocket(), directory_ + id), found);
      state = is;
    }
  }

  static constexpr char kVm[] = "forwarder";
  int answers() const { return answers_; }

 private:
  static constexpr int kForwards = 6;

  std::string Address(const std::string& id) const { return "unix:" + directory_ + id; }

  // Whether the daemon answered; `object` is to become `after` then.
  bool Note(const grpc::Status& status, const std::string& object, const std::string& after) {
    if (!status.ok() && testing::Reason(status).empty()) {
      unsure_ = object;
      may_be_ = after;
      return false;
    }
    ++answers_;
    EXPECT_TRUE(status.ok()) << object << ": " << status.error_message();
    if (object != "vm") known_[object] = after;
    return true;
  }

  const std::string directory_;
  std::mt19937_64 random_;
  std::map<std::string, std::string> known_;  // id -> port in the guest
  bool has_vm_ = false;
  std::string unsure_;  // which it was that was not answered about
  std::string may_be_;  // and what that is, if it happened
  int answers_ = 0;
};

TEST(KillTest, NothingThatWasAnsweredIsLostAndNoCidIsGivenTwice) {
  const uint64_t rounds = FromEnvironment("KINSOCK_KILL_ROUNDS", 20);
  const uint64_t seed = FromEnvironment("KINSOCK_KILL_SEED", static_cast<uint64_t>(time(nullptr)));
  SCOPED_TRACE(absl::StrCat("KINSOCK_KILL_SEED=", seed));
  std::mt19937_64 random(seed);
  const auto milliseconds = [&](uint64_t at_most) { return std::chrono::milliseconds(random() % at_most); };

  constexpr int kClients = 4;
  CidLedger ledger;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<Client>(i, ledger, random()));

  NetworkClient network_client(random());

  DaemonProcess daemon;
  ForwardsClient forwards_client(daemon, random());
  for (uint64_t round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    // Now and then it does not even get up.
    if (random() % 4 == 0) {
      daemon.Launch();
      daemon.Kill(milliseconds(60));
    }
    ASSERT_TRUE(daemon.Start()) << daemon.errors();
    const std::map<std::string, v1::Vm> listed = daemon.List();
    std::map<uint32_t, std::string> holders;
    for (const auto& [name, vm] : listed) {
      const auto [first, is_new] = holders.emplace(vm.status().cid(), name);
      EXPECT_TRUE(is_new) << "CID " << first->first << " belongs to " << first->second << " and " << name;
    }
    for (const auto& client : clients) client->Compare(listed);
    network_client.Compare(daemon);
    forwards_client.Compare(daemon, listed.count(ForwardsClient::kVm) > 0);

    std::vector<std::thread> threads;
    for (const auto& client : clients) threads.emplace_back([&daemon, &client] { client->Run(daemon); });
    threads.emplace_back([&daemon, &network_client] { network_client.Run(daemon); });
    threads.emplace_back([&daemon, &forwards_client] { forwards_client.Run(daemon); });
    daemon.Kill(milliseconds(400));
    for (std::thread& thread : threads) thread.join();
  }
  int answers = 0;
  for (const auto& client : clients) answers += client->answers();
  EXPECT_GT(answers, static_cast<int>(rounds));
  EXPECT_GT(network_client.answers(), static_cast<int>(rounds));
  EXPECT_GT(forwards_client.answers(), static_cast<int>(rounds));
  answers += network_client.answers() + forwards_client.answers();
  RecordProperty("answers", answers);
  printf("%llu rounds, %d answered mutations\n", static_cast<unsigned long long>(rounds), answers);
}

}  // namespace
}  // namespace kinsock
