// SPDX-License-Identifier: Apache-2.0
//
// What the commands of vsocktool can be told on the command line.
#ifndef KINSOCK_TESTS_E2E_GUEST_OPTIONS_H_
#define KINSOCK_TESTS_E2E_GUEST_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace kinsock::guest {

struct Address {
  uint32_t cid;
  uint32_t port;
};

struct Options {
  std::optional<uint32_t> listen_port;  // --listen PORT
  std::optional<Address> connect_to;    // --connect CID:PORT
  uint32_t seed = 1;                    // --seed N: which stream the bytes belong to
  uint64_t bytes = 0;                   // --bytes N[K|M|G]
  uint32_t count = 1;                   // --count N: how many connections
  bool sha256 = false;                  // --sha256: hash the stream as well
  bool seqpacket = false;               // --seqpacket: a connection with messages
  std::string path;                     // --path FILE
};

// Reads the options behind the command's name. On anything it does not know: says so and ends the program.
Options ParseOptions(int argc, char** argv);

}  // namespace kinsock::guest

#endif  // KINSOCK_TESTS_E2E_GUEST_OPTIONS_H_
