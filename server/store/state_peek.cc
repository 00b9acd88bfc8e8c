// SPDX-License-Identifier: Apache-2.0
#include "server/store/state_peek.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/store/sqlite.h"
#include "server/store/state_file.h"
#include "server/store/state_schema.h"
#include "server/store/state_tables.h"

namespace kinsock {

absl::StatusOr<SavedState> PeekState(const std::string& directory) {
  const std::string path = StateFile::PathIn(directory);
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return SavedState();
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", strerror(errno)));
  }
  // Without its log it is at rest; with one, whoever reads it takes part in the daemon's locking.
  const bool at_rest = lstat((path + "-wal").c_str(), &found) != 0;
  const auto read = [&]() -> absl::StatusOr<SavedState> {
    KINSOCK_ASSIGN_OR_RETURN(Sqlite db, Sqlite::Open(path, at_rest ? Sqlite::Mode::kAtRest : Sqlite::Mode::kReadOnly));
    // All tables as they are at one moment, for which a daemon that starts may have to be waited for.
    KINSOCK_RETURN_IF_ERROR(db.Execute("PRAGMA busy_timeout=2000;BEGIN"));
    KINSOCK_ASSIGN_OR_RETURN(const int64_t application, db.Number("PRAGMA application_id"));
    KINSOCK_ASSIGN_OR_RETURN(const int64_t version, db.Number("PRAGMA user_version"));
    if (application != kStateApplicationId || version != StateSchemaVersion()) {
      return absl::FailedPreconditionError("it is that of another release, or of another program");
    }
    KINSOCK_ASSIGN_OR_RETURN(StateTables tables, StateTables::Prepare(db));
    return tables.Read();
  };
  absl::StatusOr<SavedState> state = read();
  if (state.ok()) return state;
  return absl::Status(state.status().code(), absl::StrCat(path, ": ", state.status().message()));
}

}  // namespace kinsock
