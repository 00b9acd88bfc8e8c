// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_MANAGED_BY_H_
#define KINSOCK_SERVER_MODEL_MANAGED_BY_H_

namespace kinsock {

// Whose an object is, as the API spells it (Vm.managed_by).
inline constexpr char kManagedByApi[] = "api";
inline constexpr char kManagedByFile[] = "file";

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_MANAGED_BY_H_
