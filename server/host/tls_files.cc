// SPDX-License-Identifier: Apache-2.0
#include "server/host/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace kinsock {
namespace {

template <auto Free>
struct FreedBy {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, FreedBy<BIO_free>>;
using Certificate = std::unique_ptr<X509, FreedBy<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;

// Nobody is there to be asked for a passphrase.
int NoPassphrase(char*, int, int, void*) { return 0; }

class Checker {
 public:
  Bio Open(const char* flag, const std::string& path) {
    if (path.empty()) {
      faults.push_back(
          absl::StrCat(flag, ": is missing; the API over TCP needs --tls-cert, --tls-key and --tls-client-ca"));
      return nullptr;
    }
    errno = 0;
    Bio file(BIO_new_file(path.c_str(), "r"));
    if (file == nullptr) faults.push_back(absl::StrCat(flag, ": ", Quoted(path), " cannot be read: ", strerror(errno)));
    return file;
  }

  Certificate ReadCertificate(const char* flag, const std::string& path) {
    const Bio file = Open(flag, path);
    if (file == nullptr) return nullptr;
    Certificate certificate(PEM_read_bio_X509(file.get(), nullptr, NoPassphrase, nullptr));
    if (certificate == nullptr) Fault(flag, path, "has no certificate in PEM form");
    return certificate;
  }

  Key ReadKey(const char* flag, const std::string& path) {
    const Bio file = Open(flag, path);
    if (file == nullptr) return nullptr;
    Key key(PEM_read_bio_PrivateKey(file.get(), nullptr, NoPassphrase, nullptr));
    if (key == nullptr) Fault(flag, path, "has no private key in PEM form, or one with a passphrase");
    return key;
  }

  void Fault(const char* flag, const std::string& path, const char* what) {
    faults.push_back(absl::StrCat(flag, ": ", Quoted(path), " ", what));
  }

  std::vector<std::string> faults;
};

}  // namespace

std::vector<std::string> TlsFaults(const TlsFiles& files) {
  Checker checker;
  const Certificate certificate = checker.ReadCertificate("--tls-cert", files.certificate);
  const Key key = checker.ReadKey("--tls-key", files.key);
  checker.ReadCertificate("--tls-client-ca", files.client_ca);
  if (certificate != nullptr && key != nullptr && X509_check_private_key(certificate.get(), key.get()) != 1) {
    checker.Fault("--tls-key", files.key, "is not the key of the certificate in --tls-cert; give the pair");
  }
  ERR_clear_error();
  return checker.faults;
}

}  // namespace kinsock
