// SPDX-License-Identifier: Apache-2.0
//
// The API over TCP: who has which certificate, and what comes of it. The certificates are made by the program openssl.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/config/config.h"
#include "server/rpc/api_limits.h"
#include "tests/server/running_daemon.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::Process;
using testing::Reason;
using testing::RunningDaemon;
using testing::SetDeadline;
using testing::TempDir;

std::string ContentsOf(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void OpenSsl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  Process openssl(arguments);
  const std::optional<int> status = openssl.Wait(RunningDaemon::kPatience);
  ASSERT_EQ(status, 0) << openssl.Stderr();
}

// A certificate and its key, "<stem>.pem" and "<stem>.key".
struct Identity {
  std::string stem;
  std::string certificate() const { return stem + ".pem"; }
  std::string key() const { return stem + ".key"; }
};

// Issues certificates.
class Authority {
 public:
  Authority(const TempDir& directory, const std::string& name) : directory_(directory), self_{directory / name} {
    OpenSsl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
             self_.key(), "-out", self_.certificate(), "-subj", "/CN=" + name, "-days", "2"});
  }

  // `names`: as openssl writes them, "URI:spiffe://host/a,DNS:a.example".
  Identity Issue(const std::string& name, const std::string& names, int days = 2) const {
    const Identity identity{directory_ / name};
    const std::string request = identity.stem + ".csr";
    std::vector<std::string> arguments{
        "req",  "-newkey", "ec",    "-pkeyopt",   "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", identity.key(),
        "-out", request,   "-subj", "/CN=" + name};
    if (!names.empty()) arguments.insert(arguments.end(), {"-addext", "subjectAltName=" + names});
    OpenSsl(arguments);
    OpenSsl({"x509", "-req", "-in", request, "-CA", self_.certificate(), "-CAkey", self_.key(), "-CAcreateserial",
             "-days", absl::StrCat(days), "-copy_extensions", "copy", "-out", identity.certificate()});
    return identity;
  }

  std::string certificate() const { return self_.certificate(); }

 private:
  const TempDir& directory_;
  const Identity self_;
};

// A port that nobody has at this moment.
int FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Replace(server_.Issue("daemon-1", "IP:127.0.0.1"), server_);
    Config config;
    config.api_tcp = {*TcpEndpoint::Parse("tcp:" + address_)};
    config.tls = TlsFiles{directory_ / "cert.pem", directory_ / "key.pem", directory_ / "ca.pem"};
    for (const char* rule : {"viewer=san:spiffe://fleet/viewer", "admin=san:boss.example"}) {
      ASSERT_EQ(config.api_roles.Add(rule), "");
    }
    daemon_ = std::make_unique<RunningDaemon>(std::move(config));
    ASSERT_TRUE(daemon_->started().ok()) << daemon_->started();
  }

  // Gives the daemon's files other contents, each in one step.
  void Replace(const Identity& daemon, const Authority& of_clients) {
    const std::pair<std::string, std::string> files[] = {{daemon.key(), directory_ / "key.pem"},
                                                         {daemon.certificate(), directory_ / "cert.pem"},
                                                         {of_clients.certificate(), directory_ / "ca.pem"}};
    for (const auto& [from, to] : files) {
      std::filesystem::copy_file(from, to + ".new");
      std::filesystem::rename(to + ".new", to);
    }
  }

  // A client who trusts `trusted` and shows `identity`, if he has one.
  std::shared_ptr<grpc::Channel> ChannelOf(const Identity* identity, const Authority& trusted) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ContentsOf(trusted.certificate());
    if (identity != nullptr) {
      options.pem_cert_chain = ContentsOf(identity->certificate());
      options.pem_private_key = ContentsOf(identity->key());
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("ipv4:" + address_, grpc::SslCredentials(options), arguments);
  }
  std::shared_ptr<grpc::Channel> ChannelOf(const Identity& identity) const { return ChannelOf(&identity, server_); }

  static grpc::Status List(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListVmsResponse page;
    return v1::VmService::NewStub(channel)->ListVms(&context, v1::ListVmsRequest(), &page);
  }

  static grpc::Status Create(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    v1::Vm vm;
    return v1::VmService::NewStub(channel)->CreateVm(&context, request, &vm);
  }

  const TempDir directory_;
  const std::string address_ = absl::StrCat("127.0.0.1:", FreePort());
  const Authority server_{directory_, "ca-1"};
  std::unique_ptr<RunningDaemon> daemon_;
};

TEST_F(TlsTest, ANameInTheCertificateGivesTheRole) {
  const std::shared_ptr<grpc::Channel> viewer = ChannelOf(server_.Issue("viewer", "URI:spiffe://fleet/viewer"));
  EXPECT_TRUE(List(viewer).ok());
  const grpc::Status refused = Create(viewer, "a");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Reason(refused), "ROLE_REQUIRED");
  EXPECT_THAT(refused.error_message(), HasSubstr("\"spiffe://fleet/viewer\" is viewer"));
  // Of several names the highest role counts.
  const Identity boss = server_.Issue("boss", "URI:spiffe://fleet/viewer,DNS:other.example,DNS:boss.example");
  EXPECT_TRUE(Create(ChannelOf(boss), "a").ok());
}

TEST_F(TlsTest, ANameWithoutARoleMayNothing) {
  for (const char* names : {"DNS:stranger.example", "DNS:xboss.example,DNS:boss.example.evil", ""}) {
    const Identity stranger = server_.Issue("stranger", names);
    const grpc::Status status = List(ChannelOf(stranger));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << names;
    EXPECT_EQ(Reason(status), "ROLE_REQUIRED") << names;
  }
  // The common name is no name that counts.
  EXPECT_EQ(Reason(List(ChannelOf(server_.Issue("boss.example", "DNS:stranger.example")))), "ROLE_REQUIRED");
}

TEST_F(TlsTest, NobodyGetsInWithoutAGoodCertificate) {
  const Authority other(directory_, "ca-other");
  const Identity forged = other.Issue("forged", "DNS:boss.example");
  const Identity expired = server_.Issue("expired", "DNS:boss.example", -1);
  EXPECT_EQ(List(ChannelOf(nullptr, server_)).error_code(), grpc::StatusCode::UNAVAILABLE) << "none";
  EXPECT_EQ(List(ChannelOf(forged)).error_code(), grpc::StatusCode::UNAVAILABLE) << "of another authority";
  EXPECT_EQ(List(ChannelOf(expired)).error_code(), grpc::StatusCode::UNAVAILABLE) << "expired";
  // The other way round: a client does not talk to a daemon that it cannot know.
  const Identity boss = server_.Issue("boss", "DNS:boss.example");
  EXPECT_EQ(List(ChannelOf(&boss, other)).error_code(), grpc::StatusCode::UNAVAILABLE);
  // And all the while:
  EXPECT_TRUE(List(ChannelOf(boss)).ok());
  EXPECT_TRUE(daemon_->Create("local").ok());
}

TEST_F(TlsTest, WithoutTlsNothingIsSaid) {
  const std::shared_ptr<grpc::Channel> plain =
      grpc::CreateChannel("ipv4:" + address_, grpc::InsecureChannelCredentials());
  EXPECT_EQ(List(plain).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, CertificatesAreReadAgainWithoutARestart) {
  const Identity boss = server_.Issue("boss", "DNS:boss.example");
  const std::shared_ptr<grpc::Channel> open = ChannelOf(boss);
  ASSERT_TRUE(List(open).ok());

  const Authority next(directory_, "ca-2");
  const Identity next_boss = next.Issue("next-boss", "DNS:boss.example");
  EXPECT_FALSE(List(ChannelOf(&next_boss, next)).ok());
  Replace(next.Issue("daemon-2", "IP:127.0.0.1"), next);
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  while (!List(ChannelOf(&next_boss, next)).ok() && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_TRUE(List(ChannelOf(&next_boss, next)).ok());
  EXPECT_FALSE(List(ChannelOf(boss)).ok()) << "the old authority counts no more";
  EXPECT_TRUE(List(open).ok()) << "a connection that is open stays so";
}

TEST_F(TlsTest, SpoiledFilesKeepNewcomersOutUntilTheyAreRepaired) {
  const Identity boss = server_.Issue("boss", "DNS:boss.example");
  const std::shared_ptr<grpc::Channel> open = ChannelOf(boss);
  ASSERT_TRUE(List(open).ok());
  const auto newcomers_get_in = [&](bool wanted) {
    const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
    bool ok = !wanted;
    while (ok != wanted && std::chrono::steady_clock::now() < deadline) ok = List(ChannelOf(boss)).ok();
    return ok;
  };
  std::ofstream(directory_ / "cert.pem") << "not a certificate";
  EXPECT_FALSE(newcomers_get_in(false));
  EXPECT_TRUE(List(open).ok()) << "who is in stays in";
  EXPECT_TRUE(daemon_->Create("local").ok()) << "and UNIX sockets have nothing to do with it";

  Replace(server_.Issue("daemon-2", "IP:127.0.0.1"), server_);
  EXPECT_TRUE(newcomers_get_in(true));
}

TEST_F(TlsTest, Kinsockctl) {
  const Identity boss = server_.Issue("boss", "DNS:boss.example");
  const Identity viewer = server_.Issue("viewer", "URI:spiffe://fleet/viewer");
  const auto ctl = [&](const std::vector<std::string>& flags, const std::vector<std::string>& words) {
    std::vector<std::string> all{"cli/kinsockctl", "--endpoint", "tcp:" + address_, "--timeout", "30s"};
    all.insert(all.end(), flags.begin(), flags.end());
    all.insert(all.end(), words.begin(), words.end());
    Process program(all);
    const std::optional<int> status = program.Wait(RunningDaemon::kPatience);
    return std::make_pair(status.has_value() && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1, program.Stderr());
  };
  const auto as = [&](const Identity& identity, const Authority& trusted) {
    return std::vector<std::string>{"--tls-ca",  trusted.certificate(), "--tls-cert", identity.certificate(),
                                    "--tls-key", identity.key()};
  };
  EXPECT_EQ(ctl(as(boss, server_), {"vm", "create", "a"}).first, 0);
  const auto refused = ctl(as(viewer, server_), {"vm", "create", "b"});
  EXPECT_EQ(refused.first, 5);
  EXPECT_THAT(refused.second, HasSubstr("ROLE_REQUIRED: VmService.CreateVm needs the role operator"));

  const auto plain = ctl({}, {"vm", "list"});
  EXPECT_EQ(plain.first, 2);
  EXPECT_THAT(plain.second, HasSubstr("is only served with TLS; give --tls-ca, --tls-cert and --tls-key"));
  const auto unknown = ctl(as(boss, Authority(directory_, "ca-other")), {"vm", "list"});
  EXPECT_EQ(unknown.first, 6);
  EXPECT_THAT(unknown.second, HasSubstr("try: whether it listens there, whether --tls-ca vouches for it"));
  std::vector<std::string> named = as(boss, server_);
  named.insert(named.end(), {"--tls-server-name", "somebody.else"});
  EXPECT_EQ(ctl(named, {"vm", "list"}).first, 6);
}

TEST_F(TlsTest, ConnectionsThatNeverShakeHandsAreFewAndEnd) {
  std::vector<UniqueFd> silent;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(address_.substr(address_.find(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (size_t i = 0; i < kMaxTlsConnections + 50; ++i) {
    silent.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(silent.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  EXPECT_TRUE(daemon_->Create("local").ok()) << "who comes by the UNIX socket does not feel them";
  EXPECT_LE(daemon_->Info().counts().api_connections(), kMaxTlsConnections + 2);
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  while (daemon_->Info().counts().api_connections() > 2 && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_LE(daemon_->Info().counts().api_connections(), 2u);
  EXPECT_TRUE(List(ChannelOf(server_.Issue("boss", "DNS:boss.example"))).ok());
}

}  // namespace
}  // namespace kinsock
