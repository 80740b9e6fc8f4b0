
=pod

=head1 NAME

StreamxCerts - certificates for a test file

=head1 SYNOPSIS

  use StreamxCerts;

  my $certs = StreamxCerts->new;          # dies, or skips the file, without openssl
  $certs->authority('ca');
  $certs->issue('server', 'ca');          # for localhost and 127.0.0.1
  $certs->issue('old', 'ca', days => 0);  # has expired
  my $pem = $certs->pem('server');        # also key('server'), file('server.pem')

=cut

package StreamxCerts;

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils ();
use StreamxCluster;

sub new
{
	my ($class) = @_;

	StreamxCluster->needs_program('openssl');
	return bless { dir => PostgreSQL::Test::Utils::tempdir('certs') }, $class;
}

sub _openssl
{
	my ($self, @args) = @_;
	my ($out, $err);

	IPC::Run::run([ 'openssl', @args ], '<', '/dev/null', '>', \$out, '2>', \$err)
	  or die "openssl @args: $err";
	return;
}

# name.pem, name.key; with more: name of a file in the directory
sub file
{
	my ($self, $name) = @_;
	return "$self->{dir}/$name";
}

sub pem
{
	my ($self, $name) = @_;
	return PostgreSQL::Test::Utils::slurp_file($self->file("$name.pem"));
}

sub key
{
	my ($self, $name) = @_;
	return PostgreSQL::Test::Utils::slurp_file($self->file("$name.key"));
}

sub _make_key
{
	my ($self, $name) = @_;

	$self->_openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256',
		'-out', $self->file("$name.key"));
	chmod 0600, $self->file("$name.key");
	return;
}

sub authority
{
	my ($self, $name) = @_;

	$self->_make_key($name);
	$self->_openssl('req', '-x509', '-new', '-key', $self->file("$name.key"), '-days', 30,
		'-subj', "/CN=streamx test $name", '-out', $self->file("$name.pem"));
	return;
}

sub issue
{
	my ($self, $name, $authority, %params) = @_;
	my $extensions = $self->file("$name.ext");

	$self->_make_key($name);
	PostgreSQL::Test::Utils::append_to_file($extensions,
		'subjectAltName=' . ($params{names} || 'DNS:localhost,IP:127.0.0.1') . "\n");
	$self->_openssl('req', '-new', '-key', $self->file("$name.key"), '-subj', "/CN=$name",
		'-out', $self->file("$name.csr"));
	$self->_openssl('x509', '-req', '-in', $self->file("$name.csr"),
		'-CA', $self->file("$authority.pem"), '-CAkey', $self->file("$authority.key"), '-CAcreateserial',
		'-days', $params{days} // 30, '-extfile', $extensions, '-out', $self->file("$name.pem"));
	return;
}

1;
