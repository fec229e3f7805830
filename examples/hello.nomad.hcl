# A service with a port and a health check, made of nothing but the Perl that every Debian and Ubuntu has.
job "hello" {
  type = "service"

  group "web" {
    count = 1

    network {
      port "http" {}
    }

    service {
      name     = "hello"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/health"
        interval = "1s"
        timeout  = "1s"
      }
    }

    update {
      min_healthy_time = "1s"
      healthy_deadline = "30s"
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = "/usr/bin/perl"
        args    = ["local/server.pl"]
      }

      template {
        destination = "local/server.pl"
        data        = <<-PERL
          use IO::Socket::INET;
          my $server = IO::Socket::INET->new(
            LocalAddr => '{{ env "NOMAD_IP_http" }}', LocalPort => {{ env "NOMAD_PORT_http" }},
            Listen => 16, ReuseAddr => 1) or die "listen: $!";
          $| = 1;
          print "listening on {{ env "NOMAD_ADDR_http" }}\n";
          while (my $client = $server->accept) {
            my $request = <$client> // '';
            while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
            my $body = "Hello from {{ env "NOMAD_ALLOC_NAME" }}\n";
            print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
            close $client;
          }
        PERL
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
