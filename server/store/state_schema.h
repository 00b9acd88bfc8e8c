// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_STATE_SCHEMA_H_
#define KINSOCK_SERVER_STORE_STATE_SCHEMA_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "server/store/sqlite.h"

namespace kinsock {

// The tables of the state file, and how those of an earlier release become those of this one (docs/state.md).
//
// PRAGMA application_id tells the file from other programs' databases, PRAGMA user_version is its schema version: the
// number of migrations that it has been through.

// "kins", big-endian.
inline constexpr int64_t kStateApplicationId = 0x6b696e73;

// All migrations, oldest first. One that was released is never changed: files have been through it.
std::span<const char* const> StateMigrations();

// The version of this release.
inline int64_t StateSchemaVersion() { return static_cast<int64_t>(StateMigrations().size()); }

// Takes `db` through the first `to` migrations, those that it has been through already left out; each is all there or
// not at all, whenever the machine stops. FAILED_PRECONDITION, and nothing is done, when it is beyond `to`: a newer
// release wrote it.
absl::Status MigrateState(Sqlite& db, int64_t to = StateSchemaVersion());

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_STATE_SCHEMA_H_
