// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_TLS_FILES_H_
#define KINSOCK_SERVER_HOST_TLS_FILES_H_

#include <string>
#include <vector>

namespace kinsock {

// Where the API's TLS finds what it needs, as PEM. The files are read again when they change.
struct TlsFiles {
  std::string certificate;  // the daemon's, and then those between it and its authority
  std::string key;          // its private key, without a passphrase
  std::string client_ca;    // the authorities that vouch for clients

  bool any() const { return !certificate.empty() || !key.empty() || !client_ca.empty(); }
};

// What is wrong with the files as they are now, a line each, "--tls-cert: FILE ...". Reads them: at the start, not
// later.
std::vector<std::string> TlsFaults(const TlsFiles& files);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_TLS_FILES_H_
