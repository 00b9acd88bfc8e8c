// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_SQLITE_H_
#define KINSOCK_SERVER_STORE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kinsock {

// An open SQLite database. Errors carry SQLite's words and the name of its code; UNAVAILABLE when the disk is full or
// fails, DATA_LOSS when the file is no database or a damaged one, INTERNAL otherwise.
//
// Thread-compatible: one thread at a time. Destroyed after its statements.
class Sqlite {
 public:
  enum class Mode : uint8_t { kCreate, kReadWrite, kReadOnly, kAtRest };

  // `path` is never taken for a URI. kCreate makes the file when it is not there. kAtRest: read only, of a file that
  // nobody writes to and that has no log; neither locks nor makes anything beside it.
  static absl::StatusOr<Sqlite> Open(const std::string& path, Mode mode);

  // Runs statements that give no rows. UNKNOWN: all is written, and the disk did not say that it has it.
  absl::Status Execute(std::string_view sql);

  // The first column of the first row that `sql` gives; NOT_FOUND when there is none.
  absl::StatusOr<int64_t> Number(std::string_view sql);
  absl::StatusOr<std::string> Text(std::string_view sql);

  // Whether the last connection to close puts the log into the file; it does by default.
  absl::Status SetCheckpointOnClose(bool checkpoint);

  bool in_transaction() const;

 private:
  friend class SqliteStatement;
  struct Close {
    void operator()(sqlite3* db) const;
  };
  explicit Sqlite(sqlite3* db) : db_(db) {}

  std::unique_ptr<sqlite3, Close> db_;
};

// A compiled statement, used over and over:
//
//     statement.Bind(1, uid).Bind(2, 42);
//     KINSOCK_RETURN_IF_ERROR(statement.Run());
//
// Thread: that of its database.
class SqliteStatement {
 public:
  static absl::StatusOr<SqliteStatement> Prepare(const Sqlite& db, std::string_view sql);

  // Parameters count from 1. Texts and blobs are copied. What cannot be bound is told by the next Step() or Run().
  SqliteStatement& Bind(int index, int64_t value);
  SqliteStatement& Bind(int index, std::string_view text);
  SqliteStatement& BindBlob(int index, std::string_view bytes);

  // Goes to the next row; false: there is none, and the statement begins anew.
  absl::StatusOr<bool> Step();
  // For statements that give no rows.
  absl::Status Run();

  // Columns of the row that Step() went to, from 0.
  int64_t Number(int column) const;
  std::string Bytes(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}
  void Keep(int code);
  void Rewind();

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_error_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_SQLITE_H_
