// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_STATE_PEEK_H_
#define KINSOCK_SERVER_STORE_STATE_PEEK_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/model/saved_state.h"

namespace kinsock {

// What is in the state of `directory`, for who only looks: also while a daemon has it, and nothing of it is changed;
// where one was killed, SQLite makes its index of the log anew (-shm). Empty when there is none. Not OK: why it cannot
// be looked at, which its daemon may be able to all the same: permissions, another release's schema, damage. Blocks on
// the disk. Any thread.
absl::StatusOr<SavedState> PeekState(const std::string& directory);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_STATE_PEEK_H_
