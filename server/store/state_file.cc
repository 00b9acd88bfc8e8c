// SPDX-License-Identifier: Apache-2.0
#include "server/store/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "server/status/error.h"
#include "server/store/state_schema.h"

namespace kinsock {
namespace {

// Specs name sockets and labels of all tenants: for the daemon's user alone.
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

absl::Status DirectoryUnusable(const std::string& directory, const std::string& what) {
  return Error(absl::StatusCode::kFailedPrecondition, "STATE_UNUSABLE",
               absl::StrCat("state directory \"", directory, "\" ", what, "; choose another --state-dir"))
      .With("path", directory);
}

bool Exists(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0;
}

// A name in a directory is there after a power failure only when the directory has been written, too.
absl::Status SyncDirectory(const std::string& directory) {
  const UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid() && fsync(fd.get()) == 0) return absl::OkStatus();
  return DirectoryUnusable(directory, absl::StrCat("cannot be written: ", strerror(errno)));
}

absl::Status PrepareDirectory(const std::string& directory) {
  if (mkdir(directory.c_str(), kDirectoryMode) == 0) {
    const size_t slash = directory.rfind('/');
    return SyncDirectory(slash == std::string::npos ? "." : slash == 0 ? "/" : directory.substr(0, slash));
  }
  if (errno != EEXIST) return DirectoryUnusable(directory, absl::StrCat("cannot be made: ", strerror(errno)));
  struct stat found;
  if (stat(directory.c_str(), &found) != 0) return DirectoryUnusable(directory, strerror(errno));
  if (!S_ISDIR(found.st_mode)) return DirectoryUnusable(directory, "is not a directory");
  if ((found.st_mode & S_IWOTH) != 0) {
    return DirectoryUnusable(directory, "can be written by everybody, who could change what the daemon believes");
  }
  return absl::OkStatus();
}

// Makes the file under another name and gives it its own when it is whole.
absl::Status Make(const std::string& directory, const std::string& path) {
  const std::string draft = path + ".new";
  for (const char* const suffix : {"", "-journal", "-wal", "-shm"}) unlink((draft + suffix).c_str());
  if (!UniqueFd(open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kFileMode)).valid()) {
    return DirectoryUnusable(directory, absl::StrCat("takes no new file: ", strerror(errno)));
  }
  const auto fill = [&]() -> absl::Status {
    KINSOCK_ASSIGN_OR_RETURN(Sqlite db, Sqlite::Open(draft, Sqlite::Mode::kReadWrite));
    KINSOCK_RETURN_IF_ERROR(
        db.Execute(absl::StrCat("PRAGMA synchronous=FULL;PRAGMA application_id=", kStateApplicationId)));
    return MigrateState(db);
  };
  if (absl::Status failed = fill(); !failed.ok()) {
    unlink(draft.c_str());
    return DirectoryUnusable(directory, absl::StrCat("takes no new file: ", failed.message()));
  }
  // The lock is ours: nobody has made the file in between.
  if (rename(draft.c_str(), path.c_str()) != 0) return DirectoryUnusable(directory, strerror(errno));
  return SyncDirectory(directory);
}

absl::Status LooksRight(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) return StateUnusable(path, strerror(errno));
  if (!S_ISREG(found.st_mode)) return StateUnusable(path, "is not a regular file");
  // SQLite takes it for a database that nobody has written to yet.
  if (found.st_size == 0) return StateUnusable(path, "is empty: it was cut off");
  return absl::OkStatus();
}

// Reads only.
absl::Status Check(Sqlite& db, const std::string& path) {
  const auto fault = [&]() -> absl::Status {
    KINSOCK_ASSIGN_OR_RETURN(const int64_t application, db.Number("PRAGMA application_id"));
    if (application != kStateApplicationId) {
      return absl::FailedPreconditionError("is a database of another program");
    }
    KINSOCK_ASSIGN_OR_RETURN(const int64_t version, db.Number("PRAGMA user_version"));
    if (version > StateSchemaVersion()) {
      return absl::FailedPreconditionError(absl::StrCat("was written by a newer kinsockd: it has schema version ",
                                                        version, ", and this one knows 1 to ", StateSchemaVersion(),
                                                        "; start that release"));
    }
    if (version < 1) return absl::FailedPreconditionError(absl::StrCat("has the impossible schema version ", version));
    KINSOCK_ASSIGN_OR_RETURN(const std::string verdict, db.Text("PRAGMA quick_check(1)"));
    if (verdict != "ok") return absl::DataLossError(absl::StrCat("is damaged: ", verdict));
    return absl::OkStatus();
  }();
  return fault.ok() ? fault : StateUnusable(path, std::string(fault.message()));
}

absl::StatusOr<Sqlite> OpenChecked(const std::string& path) {
  KINSOCK_RETURN_IF_ERROR(LooksRight(path));
  absl::StatusOr<Sqlite> db = Sqlite::Open(path, Sqlite::Mode::kReadWrite);
  if (!db.ok()) return StateUnusable(path, std::string(db.status().message()));
  // Until it is known to be good, nothing is written: closing it must not, either. Somebody who reads or copies the
  // file may hold it for a moment.
  absl::Status set = db->SetCheckpointOnClose(false);
  if (set.ok()) set = db->Execute("PRAGMA cell_size_check=ON;PRAGMA busy_timeout=2000");
  if (!set.ok()) return StateUnusable(path, std::string(set.message()));
  KINSOCK_RETURN_IF_ERROR(Check(*db, path));

  // A mutation that was answered outlives the machine's power: so the log is synced on every commit (FULL).
  absl::Status ready = db->SetCheckpointOnClose(true);
  if (ready.ok()) {
    const absl::StatusOr<std::string> mode = db->Text("PRAGMA journal_mode=WAL");
    ready = !mode.ok()       ? mode.status()
            : *mode == "wal" ? absl::OkStatus()
                             : absl::UnavailableError(absl::StrCat("journal mode WAL is refused, it is ", *mode));
  }
  // A log that grew while a reader held it back is cut again when it can be.
  if (ready.ok()) ready = db->Execute("PRAGMA synchronous=FULL;PRAGMA journal_size_limit=16777216");
  if (ready.ok()) ready = MigrateState(*db);
  if (!ready.ok()) return StateUnusable(path, std::string(ready.message()));
  return db;
}

}  // namespace

absl::Status StateUnusable(const std::string& path, const std::string& what) {
  return Error(absl::StatusCode::kFailedPrecondition, "STATE_UNUSABLE",
               absl::StrCat("state file \"", path, "\": ", what,
                            ". It was left as it is, and kinsockd does not start without it. Put a backup in its place "
                            "(docs/state.md), or move it and its -wal file away to begin with nothing, or choose "
                            "another --state-dir"))
      .With("path", path);
}

absl::StatusOr<StateFile> StateFile::Open(const std::string& directory) {
  KINSOCK_RETURN_IF_ERROR(PrepareDirectory(directory));
  KINSOCK_ASSIGN_OR_RETURN(LockFile lock, LockFile::Acquire(directory + "/lock", "state directory"));
  const std::string path = PathIn(directory);
  const bool is_new = !Exists(path);
  if (is_new) {
    // SQLite would delete such a log.
    if (Exists(path + "-wal")) return StateUnusable(path, "is missing, but its -wal file is there");
    KINSOCK_RETURN_IF_ERROR(Make(directory, path));
  }
  KINSOCK_ASSIGN_OR_RETURN(Sqlite db, OpenChecked(path));
  return StateFile{std::move(lock), std::move(db), is_new};
}

}  // namespace kinsock
