// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_VM_JOURNAL_H_
#define KINSOCK_SERVER_MANAGER_VM_JOURNAL_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/model/saved_state.h"

namespace kinsock {

// What one mutation leaves behind: all of it, or nothing. Plain value.
struct JournalEntry {
  std::optional<SavedVm> put;  // is made, or has become other than it was
  std::string erase_uid;       // of the VM that is no more; empty: none
  std::optional<RestingCid> rest;
  std::optional<ReservedCid> reserve;
  std::optional<std::pair<std::string, Cid>> release;         // network and CID that is neither reserved nor rests
  std::optional<std::pair<std::string, CidCursors>> cursors;  // of a network
  NetworkDefinitionPtr put_network;                           // is made, or has become other than it was; null: none
  std::string erase_network;                                  // id; with its policies and all that is known of its CIDs
  PolicyDefinitionPtr put_policy;
  PolicyDefinitionPtr erase_policy;
  ForwardDefinitionPtr put_forward;       // is made, or has become other than it was
  std::string erase_forward;              // id
  std::string erase_forwards_of;          // id of the VM that takes its forwards with it
  std::vector<AnsweredRequest> requests;  // that asked for it
  std::vector<AnsweredObjectRequest> object_requests;

  bool empty() const {
    return !put.has_value() && erase_uid.empty() && !rest.has_value() && !cursors.has_value() && !reserve.has_value() &&
           !release.has_value() && put_network == nullptr && erase_network.empty() && put_policy == nullptr &&
           erase_policy == nullptr && put_forward == nullptr && erase_forward.empty() && erase_forwards_of.empty() &&
           requests.empty() && object_requests.empty();
  }
};

// Where mutations go before they are answered.
//
// Thread: main, and so do callbacks run.
class VmJournal {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  virtual ~VmJournal() = default;

  // `done`: OK when the entry will be there after any crash, in the order of the calls; UNAVAILABLE STORE_FAILED or
  // STORE_BUSY with RetryInfo when nothing of it is. May run before Commit() returns.
  virtual void Commit(JournalEntry entry, Done done) = 0;
};

// Remembers nothing: a daemon without a state directory.
class NoJournal final : public VmJournal {
 public:
  void Commit(JournalEntry, Done done) override { done(absl::OkStatus()); }
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_VM_JOURNAL_H_
