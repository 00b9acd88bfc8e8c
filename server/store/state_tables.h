// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_STATE_TABLES_H_
#define KINSOCK_SERVER_STORE_STATE_TABLES_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/manager/vm_journal.h"
#include "server/model/saved_state.h"
#include "server/store/sqlite.h"

namespace kinsock {

// Rows of state_schema's tables from and to the daemon's values.
//
// Thread: that of the database, which outlives it.
class StateTables {
 public:
  // Requests in the file, some 200 bytes each: as many as RequestTable keeps. Beyond: the oldest go.
  static constexpr int64_t kMaxRequests = 100'000;
  // The same of those about other things: as many as Answers keeps of each kind.
  static constexpr int64_t kMaxObjectRequests = 50'000;

  // INTERNAL when the tables are not those of this release.
  static absl::StatusOr<StateTables> Prepare(Sqlite& db);

  // DATA_LOSS, naming the row, when one is damaged or contradicts itself.
  absl::StatusOr<SavedState> Read();

  // Within a transaction of the caller's. Also drops what has become of no use by `now`.
  absl::Status Write(const JournalEntry& entry, WallTime now);

 private:
  explicit StateTables(Sqlite& db) : db_(&db) {}

  absl::Status ReadNetworks(SavedState& state);
  absl::Status ReadVms(SavedState& state);
  absl::Status ReadCids(SavedState& state);
  absl::Status ReadRequests(SavedState& state);
  absl::Status ReadForwards(SavedState& state);
  absl::Status ReadObjectRequests(SavedState& state);
  absl::Status WriteNetworks(const JournalEntry& entry);
  absl::Status Release(const std::string& network, Cid cid);
  absl::Status WriteCids(const JournalEntry& entry, WallTime now);
  absl::Status WriteRequests(const JournalEntry& entry, WallTime now);
  absl::Status WriteForwards(const JournalEntry& entry);
  absl::Status WriteObjectRequests(const JournalEntry& entry, WallTime now);

  struct Statements;

  Sqlite* db_;                              // not owned
  std::shared_ptr<Statements> statements_;  // this object's alone
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_STATE_TABLES_H_
