// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_GUEST_GUEST_PORT_H_
#define KINSOCK_CLI_GUEST_GUEST_PORT_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "api/kinsock/v1/vm.pb.h"
#include "base/unique_fd.h"
#include "cli/call/client.h"

namespace kinsock {

// The host side of a VM, as a program on the host uses it. All of these say on standard error why they failed, and what
// to try, and return the exit code for it. `vm`: "web", "vms/web", or the host name "web.kinsock" of ssh.

// Asks the daemon for a VM that has a hybrid socket. `port`, `to_guest`: what it is wanted for, to say what to do in
// its place.
ExitCode FindHybridVm(Client& client, const std::string& vm, uint32_t port, bool to_guest, v1::Vm& found);

// Connects to `port` of the guest: CONNECT, and the daemon's OK is read and not a byte more.
ExitCode DialGuest(Client& client, const v1::Vm& vm, uint32_t port, std::chrono::milliseconds timeout,
                   UniqueFd& socket);

// How an attempt to get through to a guest ended.
enum class Dialled : uint8_t {
  kConnected,
  kUnreachable,  // the socket; an errno says why
  kRefused,      // the daemon hung up in place of an OK
  kSilent,       // nobody answered in time
  kStranger,     // what answered is no VM's socket
};

// The same without a word, for who tries often. `path`: of the VM's socket.
Dialled TryDial(const std::string& path, uint32_t port, std::chrono::milliseconds timeout, UniqueFd& socket,
                int& error);

// Listens where the guest's connections to `port` of the host arrive, <uds path>_<port>, until one has come. Who else
// than the daemon connects is turned away. The socket file is removed, also by SIGINT and SIGTERM, which still end the
// process.
ExitCode AcceptFromGuest(const v1::Vm& vm, uint32_t port, UniqueFd& socket);

// What ssh calls a VM: its name and this.
inline constexpr char kSshDomain[] = ".kinsock";

}  // namespace kinsock

#endif  // KINSOCK_CLI_GUEST_GUEST_PORT_H_
