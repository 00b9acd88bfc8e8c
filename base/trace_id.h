// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_TRACE_ID_H_
#define KINSOCK_BASE_TRACE_ID_H_

#include <string>
#include <string_view>

namespace kinsock {

// The trace-id in `traceparent` (W3C Trace Context, section 3.2), 32 hexadecimal digits; empty if that is none. Later
// versions than 00 may say more after what is known (3.2.4). Pure function; any thread.
std::string TraceId(std::string_view traceparent);

}  // namespace kinsock

#endif  // KINSOCK_BASE_TRACE_ID_H_
