// SPDX-License-Identifier: Apache-2.0
//
// What vsocktool says: one line per event, "event key=value key=value", written at once so that whoever waits for it
// can go on.
//
// Thread: any.
#ifndef KINSOCK_TESTS_E2E_GUEST_REPORT_H_
#define KINSOCK_TESTS_E2E_GUEST_REPORT_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

namespace kinsock::guest {

using Field = std::pair<const char*, std::string>;

// Spaces in values become '_': a line is split at spaces.
void Report(const char* event, std::initializer_list<Field> fields);

// Reports a "failed what=..." line and ends the program with status 1.
[[noreturn]] void Fail(const char* what, std::initializer_list<Field> fields);

// "ECONNRESET"; "0" for none.
std::string ErrnoName(int error);

// Milliseconds of a clock that only goes forward.
int64_t NowMs();

// For "mib_per_s": two decimals.
std::string MibPerSecond(uint64_t bytes, int64_t ms);

}  // namespace kinsock::guest

#endif  // KINSOCK_TESTS_E2E_GUEST_REPORT_H_
