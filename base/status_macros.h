// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_STATUS_MACROS_H_
#define KINSOCK_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Leaves the function with the status of `expr` unless it is OK.
#define KINSOCK_RETURN_IF_ERROR(expr)                                 \
  do {                                                                \
    if (absl::Status kinsock_status = (expr); !kinsock_status.ok()) { \
      return kinsock_status;                                          \
    }                                                                 \
  } while (false)

#define KINSOCK_STATUS_CONCAT_INNER(a, b) a##b
#define KINSOCK_STATUS_CONCAT(a, b) KINSOCK_STATUS_CONCAT_INNER(a, b)

// Puts the value of the StatusOr `expr` into `lhs`, or leaves the function with its status.
#define KINSOCK_ASSIGN_OR_RETURN(lhs, expr) \
  KINSOCK_ASSIGN_OR_RETURN_IMPL(KINSOCK_STATUS_CONCAT(kinsock_statusor_, __LINE__), lhs, expr)

#define KINSOCK_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expr) \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = *std::move(statusor)

#endif  // KINSOCK_BASE_STATUS_MACROS_H_
