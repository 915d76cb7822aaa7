//! Files through each server: the printed server files, attacks, file names, and a site's own lines.

mod action_php;
mod ajaxload;
mod attacks;
mod caddy_locks;
mod content_types;
mod downloads_by_piwigo;
mod every_byte;
mod every_server;
mod glued_prefix;
mod handed_over;
mod http2;
mod nginx_sub_directory;
mod parent_sites;
mod percent_names;
mod printed_files;
mod program_names;
mod refusals;
mod servers_apache;
mod servers_caddy;
mod servers_fronts;
mod servers_lighttpd;
mod servers_nginx;
mod servers_nginx_cache;
mod servers_smoke;
mod shared_hosting;
mod site_lines;
#[path = "../support/mod.rs"]
mod support;
mod symlinks;
mod symlinks_by_owner;
