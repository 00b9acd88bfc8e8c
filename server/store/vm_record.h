// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_VM_RECORD_H_
#define KINSOCK_SERVER_STORE_VM_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/model/saved_state.h"

namespace kinsock {

// A saved VM as bytes: the API's own message kinsock.v1.Vm, with nothing of its status but the CID. That message is
// complete by definition, and what is released of it never changes its meaning (buf breaking): so a field that a
// release adds to the API is kept at once, and an older file is read as an older client is.
//
// Pure functions; any thread.
std::string ToRecord(const SavedVm& vm);

// DATA_LOSS when the bytes are not such a message, or not one of a VM that was ever made.
absl::StatusOr<SavedVm> FromRecord(std::string_view record);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_VM_RECORD_H_
