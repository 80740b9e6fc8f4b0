
=pod

=head1 NAME

StreamxBrowser - a headless Chromium, for a test file

=head1 SYNOPSIS

  use StreamxBrowser;

  my $browser = StreamxBrowser->started(1280, 800);
  $browser->get('http://127.0.0.1:8080/');
  $browser->wait_until('document.title == "ready"', 30) or die;
  my $text = $browser->js('return document.body.innerText');
  $browser->screenshot('/tmp/page.png');

Drives Debian's chromium by chromedriver, in the protocol of WebDriver (what
Selenium speaks); both end with the test.

=cut

package StreamxBrowser;

use strict;
use warnings;

use Carp;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use StreamxCluster;
use Test::More;
use Time::HiRes qw(time usleep);

my @running;

=pod

=head1 METHODS

=over

=item StreamxBrowser->started(width, height)

A window of that size.  Where there is no Chromium the test file is skipped,
or under CI fails.

=cut

sub started
{
	my ($class, $width, $height) = @_;

	StreamxCluster->needs_program($_) for qw(chromium chromedriver);

	my $dir = PostgreSQL::Test::Utils::tempdir('browser');
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $self = bless {
		dir => $dir,
		http => HTTP::Tiny->new(timeout => 120),
		url => "http://127.0.0.1:$port"
	}, $class;
	my $end = time + 60;

	# Chromium keeps its files where HOME and the like point
	local @ENV{qw(HOME XDG_CONFIG_HOME XDG_CACHE_HOME)} = ($dir) x 3;
	push @running, $self;
	$self->{driver} = IPC::Run::start([ 'chromedriver', "--port=$port" ], '<', '/dev/null', '>', "$dir/driver.log", '2>&1');
	until ($self->{http}->get("$self->{url}/status")->{success})
	{
		croak 'chromedriver does not start: ' . PostgreSQL::Test::Utils::slurp_file("$dir/driver.log") if time > $end;
		usleep(100_000);
	}

	my @arguments = (
		'--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
		'--disable-background-networking', '--disable-component-update', "--window-size=$width,$height",
		"--user-data-dir=$dir/profile", '--lang=en-US', '--hide-scrollbars');
	my $made = $self->request('POST', '/session',
		{ capabilities => { alwaysMatch => { browserName => 'chrome',
			'goog:chromeOptions' => { args => \@arguments },
			'goog:loggingPrefs' => { browser => 'ALL' } } } });
	$self->{session} = "/session/$made->{sessionId}";

	# what is asked for is the window; let the page be as large
	my $page = $self->js('return [window.innerWidth, window.innerHeight]');
	$self->request('POST', "$self->{session}/window/rect",
		{ width => $width + $width - $page->[0], height => $height + $height - $page->[1] });
	return $self;
}

# One command of WebDriver; dies of its error.
sub request
{
	my ($self, $method, $path, $body) = @_;
	my %options = defined $body ? (content => encode_json($body), headers => { 'Content-Type' => 'application/json' }) : ();
	my $response = $self->{http}->request($method, "$self->{url}$path", \%options);
	my $answer = eval { decode_json($response->{content})->{value} };

	return $answer if $response->{success};
	croak "$method $path: " . (ref $answer ? "$answer->{error}: $answer->{message}" : $response->{content});
}

=pod

=item $browser->get(url)

Opens a page, and returns when it is loaded.

=cut

sub get
{
	my ($self, $url) = @_;
	$self->request('POST', "$self->{session}/url", { url => $url });
	return;
}

=pod

=item $browser->js(script, argument ...)

Runs JavaScript in the page: the body of a function, with "arguments"; its
value is returned.

=cut

sub js
{
	my ($self, $script, @arguments) = @_;
	return $self->request('POST', "$self->{session}/execute/sync", { script => $script, args => \@arguments });
}

=pod

=item $browser->wait_until(expression, seconds)

Until an expression is true in the page; false if that takes longer.

=cut

sub wait_until
{
	my ($self, $expression, $seconds) = @_;
	my $end = time + $seconds;

	while (1)
	{
		# a page that is being loaded cannot be asked
		my $true = eval { $self->js("return !!($expression)") };
		return 1 if $true;
		if (time > $end)
		{
			diag("waited in vain for: $expression");
			diag(eval { $self->js('return location.href + "\n" + document.body.innerText') } // $@);
			diag(join "\n", $self->log);
			return 0;
		}
		usleep(100_000);
	}
}

=pod

=item $browser->type(selector, text)

Types it, key by key, into the element that a CSS selector names; "\n" is Enter.

=cut

sub type
{
	my ($self, $selector, $text) = @_;
	my $found = $self->request('POST', "$self->{session}/element", { using => 'css selector', value => $selector });
	my ($id) = values %$found;

	$text =~ s/\n/\x{E007}/g;
	$self->request('POST', "$self->{session}/element/$id/value", { text => $text });
	return;
}

=pod

=item $browser->screenshot(file)

The page as PNG; its bytes are returned, and written where a file is named.

=cut

sub screenshot
{
	my ($self, $file) = @_;
	my $png = decode_base64($self->request('GET', "$self->{session}/screenshot"));

	if (defined $file)
	{
		open my $fh, '>:raw', $file or die "$file: $!";
		print $fh $png;
		close $fh or die "$file: $!";
	}
	return $png;
}

=pod

=item $browser->log

What the page wrote to its console since the last time, one string a line.

=back

=cut

sub log
{
	my ($self) = @_;
	my $entries = eval { $self->request('POST', "$self->{session}/se/log", { type => 'browser' }) } // [];

	return map { "$_->{level}: $_->{message}" } @$entries;
}

END
{
	# the exit status is the test's, not that of what is stopped here
	local $?;
	foreach my $browser (@running)
	{
		eval { $browser->request('DELETE', $browser->{session}) if $browser->{session} };
		next if !$browser->{driver};
		$browser->{driver}->signal('TERM');
		eval { $browser->{driver}->finish };
	}
}

1;
