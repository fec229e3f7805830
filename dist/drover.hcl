# A server and client on one machine. Every key: docs/configuration.md
data_dir  = "/var/lib/drover"
bind_addr = "127.0.0.1"

server {
  enabled          = true
  bootstrap_expect = 1
}

client {
  enabled = true
}
