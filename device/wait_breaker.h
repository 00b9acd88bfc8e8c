// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_WAIT_BREAKER_H_
#define KINSOCK_DEVICE_WAIT_BREAKER_H_

#include <pthread.h>

namespace kinsock {

// Ends a system call in which `thread` waits: it returns EINTR. One that does not wait does not notice, nor does a wait
// for a lock. By SIGURG, which is otherwise without effect. Any thread, while `thread` has not been joined.
void BreakWait(pthread_t thread);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_WAIT_BREAKER_H_
