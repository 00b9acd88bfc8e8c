// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_VM_JOURNAL_H_
#define KINSOCK_SERVER_VM_JOURNAL_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/saved_state.h"

namespace kinsock {

// What one mutation leaves behind: all of it, or nothing. Plain value.
struct JournalEntry {
  std::optional<SavedVm> put;  // is made, or has become other than it was
  std::string erase_uid;       // of the VM that is no more; empty: none
  std::optional<RestingCid> rest;
  std::optional<CidCursors> cursors;
  std::vector<AnsweredRequest> requests;  // that asked for it

  bool empty() const {
    return !put.has_value() && erase_uid.empty() && !rest.has_value() && !cursors.has_value() && requests.empty();
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

#endif  // KINSOCK_SERVER_VM_JOURNAL_H_
