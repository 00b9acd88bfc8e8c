// SPDX-License-Identifier: Apache-2.0
#include "server/host/journal.h"

#include <openssl/sha.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

// With the place in our source, entries would name this file for all of them.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/text.h"

namespace kinsock {
namespace {

// Between fields. No name has it, and values are escaped that do.
constexpr char kSeparator = '\0';

void Append(std::string& entry, std::string_view name, std::string_view value) {
  if (!entry.empty()) entry += kSeparator;
  value = value.substr(0, kMaxJournalFieldBytes);
  const bool plain = IsUtf8(value) && value.find(kSeparator) == std::string_view::npos;
  absl::StrAppend(&entry, AbslView(name), "=", plain ? std::string(value) : absl::CEscape(AbslView(value)));
}

// Field names are capital letters, digits and underscores.
std::string FieldName(std::string_view key) {
  std::string name = "KINSOCK_";
  for (const unsigned char c : key) name += absl::ascii_isalnum(c) ? absl::ascii_toupper(c) : '_';
  return name;
}

}  // namespace

bool StandardErrorIsJournal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  if (stream == nullptr) return false;
  const std::pair<std::string, std::string> parts = absl::StrSplit(stream, absl::MaxSplits(':', 1));
  uint64_t device = 0, inode = 0;
  struct stat found;
  return absl::SimpleAtoi(parts.first, &device) && absl::SimpleAtoi(parts.second, &inode) &&
         fstat(STDERR_FILENO, &found) == 0 && found.st_dev == device && found.st_ino == inode;
}

std::string EncodeJournalEntry(int priority, std::string_view event, std::string_view message,
                               const std::vector<std::pair<std::string_view, std::string>>& fields) {
  std::string entry;
  Append(entry, "MESSAGE", message);
  Append(entry, "PRIORITY", std::to_string(priority));
  Append(entry, "SYSLOG_IDENTIFIER", "kinsockd");
  Append(entry, "MESSAGE_ID", MessageIdOf(event));
  Append(entry, "KINSOCK_EVENT", event);
  for (const auto& [key, value] : fields) Append(entry, FieldName(key), value);
  return entry;
}

bool SendJournalEntry(std::string_view entry) {
  std::vector<iovec> fields;
  while (!entry.empty()) {
    const std::string_view field = entry.substr(0, entry.find(kSeparator));
    fields.push_back({const_cast<char*>(field.data()), field.size()});
    entry.remove_prefix(std::min(entry.size(), field.size() + 1));
  }
  return sd_journal_sendv(fields.data(), static_cast<int>(fields.size())) == 0;
}

std::string MessageIdOf(std::string_view event) {
  const std::string text = absl::StrCat("kinsock.log/", AbslView(event));
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest) / 2));
}

}  // namespace kinsock
