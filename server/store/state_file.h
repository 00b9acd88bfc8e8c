// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_STATE_FILE_H_
#define KINSOCK_SERVER_STORE_STATE_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/host/lock_file.h"
#include "server/store/sqlite.h"

namespace kinsock {

// "<directory>/state.db", open, good, of this release's schema, and ours alone as long as this lives.
//
// It is made whole under another name: so a state.db that is empty, torn or missing beside its log is never one that
// was just begun, and always a reason to stop. A file that is found bad is left exactly as it is.
struct StateFile {
  LockFile lock;  // outlives the database
  Sqlite db;
  bool is_new = false;  // there was none: the daemon begins with nothing

  // Makes the directory (0700) if its parent exists, and the file (0600) in it. FAILED_PRECONDITION: DAEMON_RUNNING,
  // or STATE_UNUSABLE {path}: which file, what is wrong with it, and what to do. Blocks on the disk.
  static absl::StatusOr<StateFile> Open(const std::string& directory);

  static std::string PathIn(const std::string& directory) { return directory + "/state.db"; }
};

// STATE_UNUSABLE, in the words of all that is wrong with a state file.
absl::Status StateUnusable(const std::string& path, const std::string& what);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_STATE_FILE_H_
