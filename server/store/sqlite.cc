// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/text.h"

namespace kinsock {
namespace {

absl::StatusCode CodeOf(int code) {
  if (code == SQLITE_IOERR_FSYNC) return absl::StatusCode::kUnknown;
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_NOMEM:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ToStatus(sqlite3* db, int code) {
  const char* const words = sqlite3_errstr(code);
  const char* const detail = db != nullptr ? sqlite3_errmsg(db) : words;
  std::string text = absl::StrCat(words, " (SQLite code ", code, ")");
  if (std::string_view(detail) != words) absl::StrAppend(&text, ": ", detail);
  // Which of EIO, ENOSPC, EROFS it was.
  const int error = db != nullptr ? sqlite3_system_errno(db) : 0;
  if ((code & 0xff) == SQLITE_IOERR && error != 0) absl::StrAppend(&text, ", errno ", error);
  return absl::Status(CodeOf(code), text);
}

// https://www.sqlite.org/uri.html
std::string UriAtRest(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '/';
    absl::StrAppend(&uri, plain ? std::string(1, c) : "%" + absl::BytesToHexString(absl::string_view(&c, 1)));
  }
  return uri + "?immutable=1";
}

}  // namespace

void Sqlite::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

absl::StatusOr<Sqlite> Sqlite::Open(const std::string& path, Mode mode) {
  // One connection for one thread needs no locks inside.
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  const bool writes = mode == Mode::kCreate || mode == Mode::kReadWrite;
  flags |= writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  if (mode == Mode::kCreate) flags |= SQLITE_OPEN_CREATE;
  if (mode == Mode::kAtRest) flags |= SQLITE_OPEN_URI;
  const std::string name = mode == Mode::kAtRest ? UriAtRest(path) : path;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &db, flags, nullptr);
  Sqlite opened(db);  // also when it failed: the handle holds the message
  if (code != SQLITE_OK) return ToStatus(db, code);
  sqlite3_extended_result_codes(db, 1);
  // Whoever could write the file must not be able to run anything through it.
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return opened;
}

absl::Status Sqlite::Execute(std::string_view sql) {
  const int code = sqlite3_exec(db_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ToStatus(db_.get(), code);
}

absl::StatusOr<int64_t> Sqlite::Number(std::string_view sql) {
  KINSOCK_ASSIGN_OR_RETURN(SqliteStatement statement, SqliteStatement::Prepare(*this, sql));
  KINSOCK_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::NotFoundError(AbslView(sql));
  return statement.Number(0);
}

absl::StatusOr<std::string> Sqlite::Text(std::string_view sql) {
  KINSOCK_ASSIGN_OR_RETURN(SqliteStatement statement, SqliteStatement::Prepare(*this, sql));
  KINSOCK_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::NotFoundError(AbslView(sql));
  return statement.Bytes(0);
}

absl::Status Sqlite::SetCheckpointOnClose(bool checkpoint) {
  const int code = sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, checkpoint ? 0 : 1, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ToStatus(db_.get(), code);
}

bool Sqlite::in_transaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

absl::StatusOr<SqliteStatement> SqliteStatement::Prepare(const Sqlite& db, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db.db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return ToStatus(db.db_.get(), code);
  return SqliteStatement(statement);
}

void SqliteStatement::Keep(int code) {
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
}

SqliteStatement& SqliteStatement::Bind(int index, int64_t value) {
  Keep(sqlite3_bind_int64(statement_.get(), index, value));
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int index, std::string_view text) {
  Keep(sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(int index, std::string_view bytes) {
  // A null pointer would be bound as NULL.
  const char* const data = bytes.empty() ? "" : bytes.data();
  Keep(sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

void SqliteStatement::Rewind() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_error_ = SQLITE_OK;
}

absl::StatusOr<bool> SqliteStatement::Step() {
  const int code = bind_error_ != SQLITE_OK ? bind_error_ : sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  const absl::Status failed =
      code == SQLITE_DONE ? absl::OkStatus() : ToStatus(sqlite3_db_handle(statement_.get()), code);
  Rewind();
  if (!failed.ok()) return failed;
  return false;
}

absl::Status SqliteStatement::Run() {
  absl::StatusOr<bool> row = Step();
  if (row.ok() && *row) Rewind();
  return row.status();
}

int64_t SqliteStatement::Number(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string SqliteStatement::Bytes(int column) const {
  // In this order: asking for the bytes converts the value, and the length is that of the result.
  const void* const bytes = sqlite3_column_blob(statement_.get(), column);
  const int length = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), static_cast<size_t>(length));
}

}  // namespace kinsock
