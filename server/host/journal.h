// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_JOURNAL_H_
#define KINSOCK_SERVER_HOST_JOURNAL_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kinsock {

// The journal of systemd: lines of the log become entries with fields (systemd.journal-fields(7)), so that
// `journalctl KINSOCK_VM=vms/web-1` finds what is about one VM.

// Whether what is written to standard error ends up there ($JOURNAL_STREAM, systemd.exec(5)).
bool StandardErrorIsJournal();

// Of a field: what is beyond is cut off. A client chose it.
inline constexpr size_t kMaxJournalFieldBytes = 4096;

// One entry, as one string for a queue of strings: MESSAGE, PRIORITY, MESSAGE_ID, KINSOCK_EVENT, and KINSOCK_<KEY> for
// each of `fields`. `priority`: of syslog(3).
std::string EncodeJournalEntry(int priority, std::string_view event, std::string_view message,
                               const std::vector<std::pair<std::string_view, std::string>>& fields);

// Sends what EncodeJournalEntry() made. Blocks while the journal takes nothing. False: there is no journal.
bool SendJournalEntry(std::string_view entry);

// The id that all entries of an event have, in every release: the first half of the SHA-256 of "kinsock.log/<event>".
// deploy/systemd/kinsock.catalog explains some of them.
std::string MessageIdOf(std::string_view event);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_JOURNAL_H_
