// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_KILL_VM_CLIENT_H_
#define KINSOCK_TESTS_SERVER_KILL_VM_CLIENT_H_

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "base/mutex.h"
#include "server/manager/cid_allocator.h"
#include "tests/server/daemon_process.h"
#include "tests/server/running_daemon.h"

namespace kinsock::testing {

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
    const auto now = std::chrono::steady_clock::now();
    const auto [entry, is_new] = uses_.try_emplace(cid, Entry{name, now});
    // Its rest began after it was last seen, so that is a bit too early: never too strict.
    const bool good = is_new || entry->second.name == name || now - entry->second.last_seen >= CidAllocator::kRest;
    entry->second = {name, now};
    return good;
  }

 private:
  struct Entry {
    std::string name;
    std::chrono::steady_clock::time_point last_seen;
  };
  Mutex mutex_;
  std::map<uint32_t, Entry> uses_ ABSL_GUARDED_BY(mutex_);
};

// One client with VMs of its own; only the CIDs that it asks for are shared with others.
class KilledVmClient {
 public:
  KilledVmClient(int number, CidLedger& ledger, uint64_t seed) : ledger_(ledger), random_(seed) {
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
    if (!status.ok() && Reason(status).empty()) {
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
    const std::string reason = Reason(status);
    if (!reason.empty()) EXPECT_TRUE(reason == "CID_IN_USE" || reason == "CID_QUARANTINED") << reason;
  }

  void Update(DaemonProcess& daemon, Known& known) {
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/" + current_);
    (*request.mutable_vm()->mutable_labels())["round"] = absl::StrCat(random_());
    request.mutable_update_mask()->add_paths("labels");
    grpc::ClientContext context;
    SetDeadline(context);
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
    SetDeadline(context);
    v1::Vm vm;
    const grpc::Status status = daemon.vms().ResetVm(&context, request, &vm);
    if (Answered(status, Unanswered::kMove)) {
      EXPECT_EQ(vm.uid(), known.uid);
      return Learn(vm, known);
    }
    const std::string reason = Reason(status);
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

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_KILL_VM_CLIENT_H_
